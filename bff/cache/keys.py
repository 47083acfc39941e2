"""The one place where keys are made: for kept answers, shared sources and everything in flight."""

import hashlib
from typing import Any

from bff.plans.plan import Caller, Plan, Query, Scope


def answer_key(plan: Plan[Any], caller: Caller, query: Query) -> tuple[object, ...]:
    """Return what tells this answer from every other: operation, contract version, who shares it, parameters.

    A tuple, so that no part can run into the next whatever characters an id holds.
    """
    owner = caller.user_id if plan.shared_by is Scope.USER else None
    return (plan.name, plan.version, plan.shared_by.value, owner, query)


def source_key(upstream: str, shared_by: str) -> tuple[object, ...]:
    """Return the key of a source's answer that everyone with the same ``shared_by`` shares."""
    return ("source", upstream, shared_by)


def headers_key(cookie: bytes, authorization: bytes) -> bytes:
    """Return what stands in memory for the headers that may hold credentials."""
    return hashlib.sha256(b"%d:%b%b" % (len(cookie), cookie, authorization)).digest()


def credential_key(kind: str, token: str) -> bytes:
    """Return what stands for a credential in memory: a SHA-256 of its kind and token, never the token itself."""
    return hashlib.sha256(f"{kind}:{token}".encode()).digest()

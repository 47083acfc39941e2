"""The one place where keys are made: for kept answers, shared sources and everything in flight."""

import hashlib
from typing import Any, NamedTuple

import msgspec

from bff.plans.operation import Caller, Query
from bff.plans.plan import Plan, Scope


def answer_key(plan: Plan[Any], caller: Caller, query: Query, generation: int = 0) -> tuple[object, ...]:
    """Return what tells this answer from every other: operation, contract version, who shares it, parameters.

    A tuple, so that no part can run into the next whatever characters an id holds. ``generation`` is that of
    the answers to this user: others have nothing of one user's to change.
    """
    if plan.shared_by is not Scope.USER:
        return (plan.name, plan.version, plan.shared_by.value, None, query)
    return (plan.name, plan.version, plan.shared_by.value, caller.owner, query, generation)


class SharedKeys(NamedTuple):
    """The names in Redis of one answer, of its owner's generations and of the lease to make it; ``text`` is whole.

    All begin with one hash tag, so that a cluster keeps them together. Ids are in them as hashes only.
    """

    entry: str
    generations: str
    lease: str
    text: bytes


def shared_keys(prefix: str, plan: Plan[Any], caller: Caller, query: Query) -> SharedKeys:
    """Return the names in Redis of what ``answer_key`` names in this process."""
    text = msgspec.json.encode(answer_key(plan, caller, query)[:5])
    if plan.shared_by is Scope.USER:
        generations = generations_key(prefix, caller.owner)
    else:
        generations = f"{prefix}:{{{_digest((plan.shared_by.value, plan.name))}}}:g"
    tag = generations.removesuffix("g")
    name = hashlib.sha256(text).hexdigest()
    return SharedKeys(f"{tag}a:{name}", generations, f"{tag}l:{name}", text)


def generations_key(prefix: str, owner: tuple[str, ...]) -> str:
    """Return the name in Redis of the generations of the owner's answers."""
    return f"{prefix}:{{{_digest(owner)}}}:g"


def _digest(parts: tuple[str, ...]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def source_key(upstream: str, shared_by: str) -> tuple[object, ...]:
    """Return the key of a source's answer that everyone with the same ``shared_by`` shares."""
    return ("source", upstream, shared_by)


def headers_key(cookie: bytes, authorization: bytes) -> bytes:
    """Return what stands in memory for the headers that may hold credentials."""
    return hashlib.sha256(b"%d:%b%b" % (len(cookie), cookie, authorization)).digest()


def credential_key(kind: str, token: str) -> bytes:
    """Return what stands for a credential in memory: a SHA-256 of its kind and token, never the token itself."""
    return hashlib.sha256(f"{kind}:{token}".encode()).digest()


def idempotency_key(scope: tuple[str, ...], key: str) -> bytes:
    """Return what stands for a client's key within ``scope``; each part with its length, so that none runs on."""
    parts = [part.encode() for part in (*scope, key)]
    return hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in parts])).digest()


def claim_key(prefix: str, name: bytes) -> str:
    """Return the name in Redis of the claim on what ``idempotency_key`` names, and later of its answer."""
    return f"{prefix}:{{{name.hex()}}}:i"


def limit_key(prefix: str, limit: str, who: str) -> str:
    """Return the name in Redis of what counts against the limit of ``who``, a user or an address."""
    return f"{prefix}:{{{_digest(('limit', limit, who))}}}:q"

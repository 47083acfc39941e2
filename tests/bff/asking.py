"""Callers, questions, plans and what their sources gave, of which a test names only what matters to it."""

from datetime import UTC, datetime

from bff.plans import Access, Ask, Caller, Got, Keep, NoQuery, Plan, Scope
from contracts import Document
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import Account

KEEP = Keep(fresh=10, stale=20, on_error=60)
NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)


class Note(Document):
    """A documented answer as small as can be."""

    some_text: str


def failure(upstream="up", reason=Reason.REFUSED, **more):
    return UpstreamFailure(upstream, reason, **more)


def caller(user_id="u", email=None, found=None, *, is_admin=False):
    return Caller(user_id, email, "log-id", found or Account(user_id, email), is_admin)


def ask(query=None, *, user="u", now=NOON):
    return Ask(caller(user), query or NoQuery(), now)


def got(gave):
    """Return what a fan-out gathered, given what each source returned or failed with."""
    gathered = Got()
    for source, value in gave.items():
        if isinstance(value, UpstreamFailure):
            gathered.fail(source, value)
        else:
            gathered.put(source, value)
    return gathered


def plan(*sources, merge=lambda ask, got: Note(some_text="made"), keep=KEEP, **fields):
    given = {
        "name": "test.note",
        "path": "/note",
        "document": "000",
        "query": NoQuery,
        "answer": Note,
        "access": Access.SESSION,
        "shared_by": Scope.USER,
        "failed": "Failed to make a note",
    }
    return Plan(sources=sources, merge=merge, keep=keep, **{**given, **fields})

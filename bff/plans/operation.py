"""What every operation has in common: who may ask, what its path names, and how it says no."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

from bff.clients import Clients
from contracts import Document
from upstreams.failure import UpstreamFailure
from upstreams.user_store import Account


class Access(Enum):
    """Who may ask. An owner is a session's too; under ``/api/instance`` strangers are told 403, not 401."""

    ANYONE = "anyone"
    SESSION = "session"
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "organization member"
    CODEX = "codex-lb session"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. ``log_id`` stands for the user in logs."""

    user_id: str
    email: str | None
    log_id: str
    found: Account | UpstreamFailure = field(repr=False)
    is_admin: bool = False

    @property
    def account(self) -> Account:
        """The caller's account. Raises the UpstreamFailure of the user store that could not tell it."""
        if isinstance(self.found, UpstreamFailure):
            raise self.found
        return self.found

    @property
    def owner(self) -> tuple[str, ...]:
        """Whose the caller's answers are."""
        return (self.user_id,)


@dataclass(frozen=True, slots=True)
class Member(Caller):
    """A member of an organization, known by a Clerk token; ``is_admin`` in that organization."""

    organization: str = ""

    @property
    def owner(self) -> tuple[str, ...]:
        return (self.organization, self.user_id)


@dataclass(frozen=True, slots=True)
class CookieHolder(Caller):
    """Whoever has a cookie that only its upstream can judge; ``user_id`` is a hash of it."""

    cookie: str = field(default="", repr=False)


class Query(Protocol):
    """The parameters of an operation, normalized: equal questions are equal values, and hash fast.

    They are those of the query and those of the path, which go first.
    """

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self: ...


class NoQuery(NamedTuple):
    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:  # noqa: ARG003
        return cls()


Q = TypeVar("Q", bound=Query)
Q_co = TypeVar("Q_co", bound=Query, covariant=True)


@dataclass(frozen=True, slots=True)
class Ask(Generic[Q_co]):
    """One question: who asks, what, when (UTC), and what the path names, once the store has said whose it is."""

    caller: Caller
    query: Q_co
    now: datetime
    subject: Any = None


class Refused(Exception):
    """The question has a documented error for an answer; ``retry_after`` in seconds.

    ``revokes`` names the plans whose kept answers the caller may no longer have.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        fields: Mapping[str, object] | None = None,
        retry_after: int | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        revokes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error
        self.fields = fields or {}
        self.retry_after = retry_after
        self.headers = headers
        self.revokes = revokes


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about, found before anything else is asked: what the path names, or a selection.

    ``find`` asks ``upstream`` and returns it if it is the caller's; no other upstream hears of it before.
    ``refusal`` is the documented status and error for everything else.
    """

    find: Callable[[Clients, Ask[Any]], Awaitable[Any]]
    refusal: tuple[int, str]
    upstream: str = "user_store"

    async def of(self, clients: Clients, ask: Ask[Any]) -> Any:
        """Return what the path names. Raises Refused when it is not the caller's, and UpstreamFailure."""
        found = await self.find(clients, ask)
        if found is None:
            raise Refused(*self.refusal)
        return found


# Status, message and further fields of an error, as its document writes it.
Shape = Callable[[int, str, Mapping[str, object]], Mapping[str, object]]


def error_shape(status: int, message: str, fields: Mapping[str, object]) -> Mapping[str, object]:  # noqa: ARG001
    """Return the error of most documents: ``{"error": message}``."""
    return {"error": message, **fields}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[Q]):
    """What reads and writes have in common.

    ``failed`` is the documented error (500) when an upstream that is needed fails, ``failed_by`` the status and
    error where the document tells upstreams apart, ``missing`` that of a JSON 404. ``shape`` writes them all.
    ``permit`` raises Refused for what this caller may not ask. ``action`` tells operations on one path apart.
    ``deadline`` in seconds is that of the whole of a read; each part of a write has its own.
    """

    name: str = field(kw_only=False)
    path: str
    document: str
    query: type[Q]
    answer: type[Document]
    access: Access
    failed: str
    failed_by: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    missing: str | None = None
    shape: Shape = error_shape
    subject: Subject | None = None
    permit: Callable[[Caller, Q], None] | None = None
    action: str | None = None
    deadline: float = 2.0

    def failure(self, failure: UpstreamFailure) -> tuple[int, str]:
        """Return the documented status and error for what failed."""
        if self.missing is not None and failure.status == 404 and failure.in_json:
            return 404, self.missing
        return self.failed_by.get(failure.upstream, (500, self.failed))

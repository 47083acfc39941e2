"""What a plan is: data that says how one answer is made, kept and shared, and what happens when it cannot be.

Everything that is the same for all endpoints reads the plan and is written once; so do the command that
lists them and the tests that break every source of every plan.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any, Final, Generic, TypeVar

from bff.clients import Clients
from bff.plans.operation import Ask, Operation, Q
from contracts import Document
from upstreams.failure import UpstreamFailure

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Scope(Enum):
    """Who may share an answer."""

    USER = "user"
    ADMINS = "admins"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Shared:
    """A source's own keep time, and the part of the question its answer depends on.

    ``by`` returns the key that all who share the answer have in common.
    """

    fresh: float
    by: Callable[[Clients, Ask[Any]], str]


@dataclass(frozen=True, slots=True, eq=False)
class Source(Generic[T_co]):
    """One upstream's part in an answer. ``fetch`` raises UpstreamFailure; then ``otherwise`` stands in for it."""

    upstream: str
    fetch: Callable[[Clients, Ask[Any]], Awaitable[T_co]]
    required: bool
    otherwise: T_co | None = None
    stands_in: str = ""
    shared: Shared | None = None


def required(
    upstream: str, fetch: Callable[[Clients, Ask[Any]], Awaitable[T]], *, shared: Shared | None = None
) -> Source[T]:
    """Return a source without which there is no answer."""
    return Source(upstream, fetch, required=True, shared=shared)


def optional(
    upstream: str,
    fetch: Callable[[Clients, Ask[Any]], Awaitable[T]],
    *,
    otherwise: T,
    stands_in: str,
    shared: Shared | None = None,
) -> Source[T]:
    """Return a source that ``otherwise`` stands in for when it fails; ``stands_in`` says so in words."""
    return Source(upstream, fetch, required=False, otherwise=otherwise, stands_in=stands_in, shared=shared)


class Got:
    """What the sources gave: ``got[SOURCE]``, its stand-in included, and why a source failed."""

    __slots__ = ("_failures", "_values")

    def __init__(self) -> None:
        self._values: dict[Source[Any], Any] = {}
        self._failures: dict[Source[Any], UpstreamFailure] = {}

    def __getitem__(self, source: Source[T]) -> T:
        value: T = self._values[source]
        return value

    def failure(self, source: Source[Any]) -> UpstreamFailure | None:
        return self._failures.get(source)

    @property
    def failures(self) -> tuple[UpstreamFailure, ...]:
        return tuple(self._failures.values())

    def put(self, source: Source[T], value: T) -> None:
        self._values[source] = value

    def fail(self, source: Source[T], failure: UpstreamFailure) -> None:
        self._failures[source] = failure
        self._values[source] = source.otherwise


@dataclass(frozen=True, slots=True)
class Keep:
    """How long an answer may be used, in seconds (contract.md, "Kept").

    It is ``fresh``, then may be served for ``stale`` more while it is refreshed; when a required source fails
    it may be served up to the age ``on_error``.
    """

    fresh: float
    stale: float
    on_error: float


NOT_KEPT: Final = Keep(fresh=0, stale=0, on_error=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Operation[Q]):
    """One operation that reads.

    ``failed_fields`` makes the further fields that its error is documented to have from the failure and the
    milliseconds spent. With a ``fallback`` that is served instead (200); ``stranger`` is served to whoever has
    no session. ``secret``: the answer holds a token. ``stamp`` returns the body with what describes this very
    response written into it: the milliseconds spent, and whether it came from the cache.
    """

    shared_by: Scope = Scope.USER
    keep: Keep = NOT_KEPT
    sources: tuple[Source[Any], ...] = ()
    merge: Callable[[Ask[Q], Got], Document]
    failed_fields: Callable[[UpstreamFailure, int], Mapping[str, object]] | None = None
    fallback: Document | None = None
    stranger: Document | None = None
    secret: bool = False
    cache_control: str | None = None
    stamp: Callable[[bytes, int, bool], bytes] | None = None
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", _version(self.answer))


@cache
def _version(answer: type[Document]) -> str:
    """Return the contract's version, its shape: an answer kept in another shape is never taken for this one."""
    shape = json.dumps(answer.model_json_schema(), sort_keys=True)
    return hashlib.sha256(shape.encode()).hexdigest()[:8]

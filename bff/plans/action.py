"""An operation that writes: never kept, never repeated, never shared, and it tells which answers it changes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from bff.clients import Clients
from bff.plans.operation import Ask, Operation, Q, Q_co
from contracts import Body, Document

B_co = TypeVar("B_co", covariant=True)
B = TypeVar("B", bound=Body | None)

Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Ask[Q_co], Generic[Q_co, B_co]):
    """One thing to do. ``tell`` takes the answer's text piece by piece, where the caller wants it as it comes."""

    body: B_co
    tell: Tell | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """How often it may be asked for: so many a minute as the configuration says under ``limits``.

    With ``at_once`` also no more than so many at the same time.
    """

    setting: str
    by: Literal["user", "address"]
    at_once: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Operation[Q], Generic[Q, B]):
    """One operation that writes.

    ``perform`` does it and raises Refused and UpstreamFailure; it reaches each upstream of ``asks`` at most once.
    ``body`` is the documented request body, None when there is none. ``changes`` names the plans whose answers
    to this user are no longer good afterwards. ``once``: a repeat with the same Idempotency-Key gets the first
    answer. ``streams``: the answer's text can be sent as it comes.
    """

    method: Literal["POST", "PUT", "DELETE"]
    body: type[B] | None = None
    asks: tuple[str, ...]
    perform: Callable[[Clients, Order[Q, B]], Awaitable[Document]]
    changes: tuple[str, ...] = ()
    status: int = 200
    quota: Quota | None = None
    once: bool = False
    streams: bool = False


AnyAction = Action[Any, Any]

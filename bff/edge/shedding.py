"""What is answered beyond the limit: kept copies that may still be served; everything else is refused."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from bff.edge.errors import unavailable
from bff.edge.exchange import SCOPE_KEY, Answer, Exchange
from bff.edge.plan_endpoint import PlanEndpoint
from bff.metrics import Metrics
from bff.overload import AdaptiveLimit
from bff.plans.operation import Operation, error_shape

_log: Final = structlog.get_logger("bff.overload")

QUEUE_SECONDS: Final = 0.1

SPARED: Final = frozenset({"/livez", "/readyz"})
_READS: Final = frozenset({"GET", "HEAD"})

_OVER_AFTER_SECONDS: Final = 1.0  # without a refusal


class Shedding:
    """Lets requests in, and is an ASGI application for those that find no room.

    There is none beyond ``limit``; nor, for who needs the user store, while the first in the queue for it has been
    waiting for ``QUEUE_SECONDS`` (``store_delay`` tells). Many requests stand in that queue twice: were it longer,
    their time would be over when it is their turn.

    ``kept`` are the endpoints that keep answers, by path. A refusal has the shape of the operation at its path,
    and no log line of its own: at the rate of an overload that would cost half as much as the refusal.
    """

    def __init__(
        self,
        limit: AdaptiveLimit,
        store_delay: Callable[[], float],
        kept: Mapping[str, PlanEndpoint],
        operations: Iterable[Operation[Any]],
        metrics: Metrics,
    ) -> None:
        self._limit = limit
        self._store_delay = store_delay
        self._kept = kept
        shapes = {each.path: each.shape for each in operations if each.shape is not error_shape}
        self._refusals = [(compile_path(path)[0], unavailable(shape)) for path, shape in shapes.items()]
        self._refusal = unavailable()
        self._metrics = metrics
        self._refused = 0

    def reserve(self, path: str) -> bool:
        """Return whether there is room for one more at ``path``; if so it is kept until the loop has turned."""
        return self._has_queue_for(path) and self._limit.reserve()

    def enter(self, path: str) -> int | None:
        """Return the place that the request has until it is given to ``leave``, None when there is no room."""
        return self._limit.enter() if self._has_queue_for(path) else None

    def leave(self, place: int) -> None:
        self._limit.leave(place)

    def _has_queue_for(self, path: str) -> bool:
        if self._store_delay() < QUEUE_SECONDS:
            return True
        endpoint = self._kept.get(path)
        return endpoint is not None and not endpoint.needs_store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        path = scope["path"]
        copy = self.copy(exchange, path, scope["query_string"]) if scope["method"] in _READS else None
        await (copy or self.refusal(path))(scope, receive, send)

    def copy(self, exchange: Exchange, path: str, query_string: bytes) -> Answer | None:
        """Return the answer from memory, None when there is none for this caller that may still be served."""
        endpoint = self._kept.get(path)
        return None if endpoint is None else endpoint.from_memory(exchange, query_string)

    def refusal(self, path: str) -> Answer:
        """Return the documented error, and count it."""
        self._count()
        for pattern, refusal in self._refusals:
            if pattern.match(path):
                return refusal
        return self._refusal

    def _count(self) -> None:
        self._metrics.shed.inc()
        self._refused += 1
        if self._refused == 1:
            _log.warning("overloaded: refusing requests", limit=self._limit.limit)
            self._see_whether_it_is_over(0)

    def _see_whether_it_is_over(self, before: int) -> None:
        if self._refused > before:
            loop = asyncio.get_running_loop()
            loop.call_later(_OVER_AFTER_SECONDS, self._see_whether_it_is_over, self._refused)
        else:
            _log.warning("no longer overloaded", refused=self._refused)
            self._refused = 0

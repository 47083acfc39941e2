"""Circuit breaker: an upstream that keeps failing is left alone, and asked again by one probe at a time."""

import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Generic, TypeVar

from upstreams.failure import Reason, UpstreamFailure

C = TypeVar("C")

_SERVER_ERROR = 500
_NOT_ITS_TROUBLE: Final = frozenset({Reason.RATE_LIMITED, Reason.SATURATED, Reason.DISABLED})


class Breaker(Generic[C]):
    """Opens after ``failures`` in a row; then one probe may pass every ``open_for`` seconds until one succeeds.

    A client error (4xx) is an answer, not trouble, nor is a reason that is ``excused``. A cancelled call says
    nothing about the upstream.
    """

    def __init__(
        self,
        upstream: str,
        send: Callable[[C], Awaitable[Any]],
        *,
        failures: int,
        open_for: float,
        excused: Collection[Reason] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._send = send
        self._threshold = failures
        self._open_for = open_for
        self._excused = _NOT_ITS_TROUBLE | frozenset(excused)
        self._clock = clock
        self._in_a_row = 0
        self._probing = False
        self._next_probe = 0.0

    async def __call__(self, call: C) -> Any:
        if self._in_a_row < self._threshold:
            return await self._attempt(call)
        if self._probing or self._clock() < self._next_probe:
            raise UpstreamFailure(self._upstream, Reason.BREAKER_OPEN)
        self._probing = True
        try:
            return await self._attempt(call)
        finally:
            self._probing = False

    async def _attempt(self, call: C) -> Any:
        try:
            result = await self._send(call)
        except UpstreamFailure as failure:
            if self._is_trouble(failure):
                self._in_a_row += 1
                self._next_probe = self._clock() + self._open_for
            raise
        self._in_a_row = 0
        return result

    def _is_trouble(self, failure: UpstreamFailure) -> bool:
        if failure.reason is Reason.STATUS:
            return failure.status is None or failure.status >= _SERVER_ERROR
        return failure.reason not in self._excused

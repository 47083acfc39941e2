"""Circuit breaker: an upstream that keeps failing is left alone, and asked again by one probe after the other."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Generic, TypeVar

from upstreams.failure import Reason, UpstreamFailure

C = TypeVar("C")

_SERVER_ERROR = 500
_UNAVAILABLE = 503
_WINDOW_SECONDS = 10
_JITTER = 0.5
_PROBE_SECONDS = 2.0
_SAYS_NOTHING: Final = frozenset({Reason.RATE_LIMITED, Reason.SATURATED, Reason.DISABLED})


class Breaker(Generic[C]):
    """Opens after ``failures`` in a row, or when of ``volume`` calls in ten seconds the share ``ratio`` failed.

    No fewer than ``failures`` open it. Then a probe may pass ``open_for`` to 1.5 ``open_for`` seconds after
    the end of the last, until one succeeds; ``probe`` makes it, by default ``send``. One that takes longer than
    two seconds is not waited for: the next may pass then, or ``open_for`` after its start if that is later.
    It is carried to its end whoever asked for it, unless ``probe_ends_with_caller``.

    Whatever comes with a status below 500 is an answer, not trouble, also when it cannot be read or is too
    large. So is an API's own word (JSON, not 503) for what became of an unsafe call; its word for a failed read
    counts for the share alone. A cancelled call and a reason that is ``excused`` say nothing about the upstream.
    """

    def __init__(
        self,
        upstream: str,
        send: Callable[[C], Awaitable[Any]],
        *,
        failures: int,
        open_for: float,
        ratio: float = 0.5,
        volume: int = 20,
        excused: Collection[Reason] = (),
        probe: Callable[[C], Awaitable[Any]] | None = None,
        probe_ends_with_caller: bool = False,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._upstream = upstream
        self._send = send
        self._send_probe = probe or send
        self._probe_ends_with_caller = probe_ends_with_caller
        self._probes: set[asyncio.Task[Any]] = set()
        self._failures = failures
        self._ratio = ratio
        self._volume = volume
        self._open_for = open_for
        self._says_nothing = _SAYS_NOTHING | frozenset(excused)
        self._clock = clock
        self._dice = dice
        self._next_probe = 0.0
        self._open = False
        self._in_a_row = 0
        self._window = _Window()

    async def __call__(self, call: C) -> Any:
        if self._open:
            return await self._probe(call)
        try:
            result = await self._send(call)
        except UpstreamFailure as failure:
            self._count(failure)
            raise
        self._in_a_row = 0
        self._window.count(self._clock(), failed=False)
        return result

    async def _probe(self, call: C) -> Any:
        began = self._clock()
        if began < self._next_probe:
            raise UpstreamFailure(self._upstream, Reason.BREAKER_OPEN)
        # One slow call must not keep everybody else away for as long as it may take.
        alone_until = self._next_probe = began + max(_PROBE_SECONDS, self._pause())
        if self._probe_ends_with_caller:
            return await self._carry_out(call, alone_until)
        # Else a caller with two calls here would never learn that all is well: the one that is told that the
        # breaker is open ends what the caller is doing, and with it the other one, the probe.
        probe = asyncio.create_task(self._carry_out(call, alone_until))
        self._probes.add(probe)
        probe.add_done_callback(self._ended)
        return await asyncio.shield(probe)

    def _ended(self, probe: asyncio.Task[Any]) -> None:
        self._probes.discard(probe)
        if not probe.cancelled():
            probe.exception()  # marks it as seen: there may be nobody else to tell

    async def _carry_out(self, call: C, alone_until: float) -> Any:
        try:
            result = await self._send_probe(call)
        except UpstreamFailure as failure:
            if self._is_answer(failure):
                self._close()
            raise
        finally:
            ended = self._clock()
            if ended < alone_until:
                self._next_probe = ended + self._pause()
        self._close()
        return result

    def _count(self, failure: UpstreamFailure) -> None:
        # What was on its way when the breaker opened changes nothing: that is for the probe to do.
        if self._open or failure.reason in self._says_nothing:
            return
        answered = self._is_answer(failure)
        if answered:
            self._in_a_row = 0
        elif not _is_own_word(failure):
            # An API's own word may be about one user's data: whoever keeps asking for it must not make the row.
            self._in_a_row += 1
        self._window.count(self._clock(), failed=not answered)
        if not answered and self._is_too_much():
            self._open = True
            self._next_probe = self._clock() + self._pause()

    def _is_too_much(self) -> bool:
        window = self._window
        if self._in_a_row >= self._failures:
            return True
        enough = window.calls >= self._volume and window.failed >= self._failures
        return enough and window.failed / window.calls >= self._ratio

    def _is_answer(self, failure: UpstreamFailure) -> bool:
        if failure.status is None or failure.reason in self._says_nothing:
            return False
        return failure.status < _SERVER_ERROR or (failure.unsafe and _is_own_word(failure))

    def _close(self) -> None:
        self._open = False
        self._in_a_row = 0
        self._window = _Window()

    def _pause(self) -> float:
        # Never shorter, and rarely the same: replicas that opened together do not probe together.
        return self._open_for * (1 + _JITTER * self._dice())


def _is_own_word(failure: UpstreamFailure) -> bool:
    """Return whether an API says so of a call, in its own words and not that it is not well itself."""
    return failure.in_json and failure.status != _UNAVAILABLE


class _Window:
    """How many calls of the last ten seconds there were, and how many of them failed; counted by the second."""

    def __init__(self) -> None:
        self.calls = 0
        self.failed = 0
        self._calls = [0] * _WINDOW_SECONDS
        self._failed = [0] * _WINDOW_SECONDS
        self._second = 0

    def count(self, now: float, *, failed: bool) -> None:
        second = int(now)
        if second != self._second:
            self._move_to(second)
        place = second % _WINDOW_SECONDS
        self.calls += 1
        self._calls[place] += 1
        if failed:
            self.failed += 1
            self._failed[place] += 1

    def _move_to(self, second: int) -> None:
        for passed in range(max(self._second, second - _WINDOW_SECONDS) + 1, second + 1):
            place = passed % _WINDOW_SECONDS
            self.calls -= self._calls[place]
            self.failed -= self._failed[place]
            self._calls[place] = self._failed[place] = 0
        self._second = second

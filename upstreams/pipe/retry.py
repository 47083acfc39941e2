"""Retries: only what may be repeated, only within the deadline, and only within the upstream's budget."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import tenacity

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import Call, Send

_REPEATABLE: Final = frozenset({Reason.REFUSED, Reason.RESET, Reason.DNS})
_PASSING_STATUSES: Final = frozenset({502, 503, 504})
_BACKOFF_SECONDS: Final = 0.05
_MAX_BACKOFF_SECONDS: Final = 0.5


class RetryBudget:
    """How many retries an upstream may get: a share of its calls, and a few each second on top."""

    def __init__(
        self,
        *,
        share: float = 0.1,
        per_second: float = 3.0,
        most: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._share = share
        self._per_second = per_second
        self._most = most
        self._clock = clock
        self._left = most
        self._counted_at = clock()

    def deposit(self) -> None:
        """Count one call."""
        self._left = min(self._most, self._left + self._share)

    def withdraw(self) -> bool:
        """Take one retry; return whether there was one left."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Retry:
    """Repeats an idempotent call up to ``retries`` times, with full-jitter backoff, after a passing failure."""

    def __init__(self, send: Send, *, retries: int, budget: RetryBudget) -> None:
        self._send = send
        self._budget = budget
        self._attempts = tenacity.stop_after_attempt(retries + 1)
        self._wait = tenacity.wait_random_exponential(multiplier=_BACKOFF_SECONDS, max=_MAX_BACKOFF_SECONDS)

    async def __call__(self, call: Call) -> Any:
        self._budget.deposit()
        try:
            return await self._send(call)
        except UpstreamFailure as failure:
            if not (call.idempotent and _is_passing(failure)):
                raise
            return await self._repeat(call, failure)

    async def _repeat(self, call: Call, failure: UpstreamFailure) -> Any:
        # Entered only after a first failure: around a call that succeeds tenacity would cost more than the call.
        failed_already = [failure]

        async def attempt() -> Any:
            if failed_already:
                raise failed_already.pop()
            return await self._send(call)

        def is_enough(state: tenacity.RetryCallState) -> bool:
            late = asyncio.get_running_loop().time() + state.upcoming_sleep >= call.expires
            return self._attempts(state) or late or not self._budget.withdraw()

        def pause(state: tenacity.RetryCallState) -> float:
            return _pause_asked_for(state) + self._wait(state)

        retrying = tenacity.AsyncRetrying(
            stop=is_enough, wait=pause, retry=tenacity.retry_if_exception(_is_passing), reraise=True
        )
        return await retrying(attempt)


def _is_passing(failure: BaseException) -> bool:
    return isinstance(failure, UpstreamFailure) and (
        failure.reason in _REPEATABLE or (failure.reason is Reason.STATUS and failure.status in _PASSING_STATUSES)
    )


def _pause_asked_for(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome else None
    return (failure.retry_after or 0.0) if isinstance(failure, UpstreamFailure) else 0.0

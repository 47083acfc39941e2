"""How many requests may be worked on at once: as many as the event loop keeps up with.

What counts is how long ready work waits for the loop, not how long upstreams take: each of those has a bulkhead,
and who waits for one takes nothing from the others.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from bff.clock import monotonic

# So much work may be in one turn of the loop. What comes meanwhile waits for it, refusals too.
TARGET_SECONDS: Final = 0.01
# Late for so long without a break is neither a burst nor one large answer.
WINDOW_SECONDS: Final = 0.1
FLOOR: Final = 16
CEILING: Final = 2048
# Whoever has been there for longer waits for somebody: a chat, an agent being deployed, a body that does not come.
YOUNG_SECONDS: Final = 1.0
# For so long somebody is refused now and then as long as there is too much.
CALM_SECONDS: Final = 1.0

_LEAST_CUT: Final = 0.9  # what is left of what is in flight
_MOST_CUT: Final = 0.5


class AdaptiveLimit:
    """A limit by additive increase and multiplicative decrease.

    Each window of nothing but late turns of the event loop cuts it to a part of what is in flight. It grows by one
    with each turn that is on time although somebody finds no room, and to the most when that has not happened for
    a while. ``worked`` tells how long the loop's thread has been running, in seconds: what a busy machine adds to
    that, no refusal would take away.
    """

    def __init__(self, worked: Callable[[], float] = time.thread_time) -> None:
        self._worked = worked
        self._limit = CEILING
        self._coming = 0
        self._period = 0
        self._period_ends = 0.0
        self._young = 0  # entered in this period
        self._older = 0  # entered in the one before
        self._watching = False
        self._late_since: float | None = None
        self._is_wanted = False  # more room
        self._wanted_at = float("-inf")

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many have entered in the last one to two ``YOUNG_SECONDS`` and not left."""
        self._age()
        return self._young + self._older

    def reserve(self) -> bool:
        """Return whether there is room for one more; if so it is kept until the loop has turned."""
        if not self._has_room(self._coming):
            return False
        self._coming += 1
        return True

    def enter(self) -> int | None:
        """Return the place that is the caller's until it is given to ``leave``, None when there is no room."""
        if not self._has_room(0):
            return None
        self._young += 1
        return self._period

    def leave(self, place: int) -> None:
        if place == self._period:
            self._young -= 1
        elif place == self._period - 1:
            self._older -= 1

    def _has_room(self, coming: int) -> bool:
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().call_soon(self._turned, self._worked())
        has_room = self.in_flight + coming < self._limit
        self._is_wanted |= not has_room
        return has_room

    def _age(self) -> None:
        now = monotonic()
        if now < self._period_ends:
            return
        missed_one = now >= self._period_ends + YOUNG_SECONDS
        self._older = 0 if missed_one else self._young
        self._young = 0
        self._period += 2 if missed_one else 1
        self._period_ends = now + YOUNG_SECONDS

    def _turned(self, since: float) -> None:
        self._coming = 0  # who was let in before has entered, or enters right after this
        now = self._worked()
        if now - since > TARGET_SECONDS:
            self._late(now - since, now)
            asyncio.get_running_loop().call_soon(self._turned, now)
        else:
            self._on_time()

    def _on_time(self) -> None:
        self._watching = False
        self._late_since = None
        now = monotonic()
        if self._is_wanted:
            self._is_wanted = False
            self._wanted_at = now
            self._limit = min(self._limit + 1, CEILING)
        elif now - self._wanted_at > CALM_SECONDS:
            self._limit = CEILING

    def _late(self, turn: float, now: float) -> None:
        if self._late_since is None:
            self._late_since = now
        elif now - self._late_since >= WINDOW_SECONDS:
            part = max(_MOST_CUT, min(_LEAST_CUT, TARGET_SECONDS / turn))
            self._limit = max(FLOOR, int(self.in_flight * part))
            self._late_since = now

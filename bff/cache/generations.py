"""Which of a user's kept answers are still good: a write begins a new generation of those that it changes."""

from itertools import count
from typing import Final, NamedTuple

from cachetools import LRUCache

from bff.clock import monotonic

_MAX_GENERATIONS: Final = 100_000


class Generation(NamedTuple):
    """``since`` is when it began, in seconds of the monotonic clock; what was asked before it does not count."""

    number: int
    since: float


class Generations:
    """Numbers are never given twice: one that was forgotten costs an answer, it never brings an old one back."""

    def __init__(self) -> None:
        self._numbers = count()
        self._current: LRUCache[tuple[str, str], Generation] = LRUCache(_MAX_GENERATIONS)

    def current(self, plan: str, user_id: str) -> Generation:
        """Return the generation of the answers of ``plan`` to the user."""
        generation = self._current.get((plan, user_id))
        return generation or self._begin(plan, user_id, since=0.0)

    def begin(self, plan: str, user_id: str) -> None:
        """Let the user's answers of ``plan`` be made anew from here on."""
        self._begin(plan, user_id, since=monotonic())

    def _begin(self, plan: str, user_id: str, *, since: float) -> Generation:
        generation = self._current[plan, user_id] = Generation(next(self._numbers), since)
        return generation

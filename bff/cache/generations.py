"""Which of a user's kept answers are still good: a write begins a new generation of those that it changes."""

from itertools import count
from typing import Final, NamedTuple

from cachetools import LRUCache

from bff.clock import monotonic

_MAX_GENERATIONS: Final = 100_000

Owner = tuple[str, ...]


class Generation(NamedTuple):
    """``since`` is when it began, in seconds of the monotonic clock; what was asked before it does not count."""

    number: int
    since: float


class Generations:
    """Numbers are never given twice: one that was forgotten costs an answer, it never brings an old one back."""

    def __init__(self) -> None:
        self._numbers = count()
        self._current: LRUCache[tuple[str, Owner], Generation] = LRUCache(_MAX_GENERATIONS)

    def current(self, plan: str, owner: Owner) -> Generation:
        """Return the generation of the answers of ``plan`` to ``owner``."""
        generation = self._current.get((plan, owner))
        return generation or self._begin(plan, owner, since=0.0)

    def begin(self, plan: str, owner: Owner) -> None:
        """Let the owner's answers of ``plan`` be made anew from here on."""
        self._begin(plan, owner, since=monotonic())

    def _begin(self, plan: str, owner: Owner, *, since: float) -> Generation:
        generation = self._current[plan, owner] = Generation(next(self._numbers), since)
        return generation

"""Which of a user's kept answers are still good: a write begins a new generation of those that it changes."""

from itertools import count
from typing import Final, NamedTuple

from bff.clock import monotonic

_MAX_GENERATIONS: Final = 100_000

Owner = tuple[str, ...]


class Generation(NamedTuple):
    """``since`` is when it began, in seconds of the monotonic clock; what was asked before it does not count."""

    number: int
    since: float


class Generations:
    """Only writes are remembered. Numbers are never given twice: what was forgotten brings no old answer back."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._begun: dict[tuple[str, Owner], Generation] = {}  # longest ago first
        self._of_others = Generation(0, 0.0)

    def current(self, plan: str, owner: Owner) -> Generation:
        """Return the generation of the answers of ``plan`` to ``owner``."""
        return self._begun.get((plan, owner), self._of_others)

    def begin(self, plan: str, owner: Owner) -> None:
        """Let the owner's answers of ``plan`` be made anew from here on."""
        self._begun.pop((plan, owner), None)
        self._begun[plan, owner] = Generation(next(self._numbers), monotonic())
        if len(self._begun) > _MAX_GENERATIONS:
            forgotten = self._begun.pop(next(iter(self._begun)))
            self._of_others = Generation(next(self._numbers), forgotten.since)

    def begin_all(self) -> None:
        """Let every owner's answers of every plan be made anew from here on."""
        self._begun.clear()
        self._of_others = Generation(next(self._numbers), monotonic())

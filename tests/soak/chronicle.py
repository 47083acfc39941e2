"""What the weather was, and when: which explains an answer, and which does not."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# A breaker probes within 1.5 s, what a failing source said is told for 2 s, and a degraded answer is kept for 2 s.
AFTER_SECONDS: Final = 6.0

REDIS: Final = "redis"


class State(StrEnum):
    """What the platform is like, as the rows of the table."""

    CALM = "calm"
    UPSTREAM = "upstream lost"
    REDIS = "redis lost"
    STORE = "user store lost"
    ROLLING = "rolling restart"
    KILLED = "replica killed"
    TWO = "two at once"


@dataclass(slots=True, eq=False)
class Spell:
    """Bad weather from ``began`` to ``ended`` (seconds); ``hurts`` are upstreams as plans name them, or redis."""

    name: str
    state: State
    hurts: frozenset[str]
    began: float
    ended: float = float("inf")

    def touches(self, since: float, until: float) -> bool:
        """Return whether any of it, or of its aftermath, was between the two moments."""
        return self.began <= until and since < self.ended + AFTER_SECONDS


class Chronicle:
    def __init__(self) -> None:
        self.spells: list[Spell] = []

    def begin(self, name: str, state: State, hurts: Iterable[str], now: float) -> Spell:
        spell = Spell(name, state, frozenset(hurts), now)
        self.spells.append(spell)
        return spell

    def state(self, at: float) -> State:
        """Return the state at that moment: of spells one after the other the later one's."""
        lasting = [spell for spell in self.spells if spell.touches(at, at)]
        if not lasting:
            return State.CALM
        latest = lasting[-1]
        together = any(each is not latest and each.ended > latest.began for each in lasting)
        return State.TWO if together else latest.state

    def names(self, at: float) -> str:
        """Return the names of the spells at that moment, and of those that it is the aftermath of."""
        return ", ".join(spell.name for spell in self.spells if spell.touches(at, at)) or State.CALM

    def hurt(self, since: float, until: float) -> frozenset[str]:
        """Return what was in trouble at any time between the two moments."""
        return frozenset().union(*(spell.hurts for spell in self.spells if spell.touches(since, until)))

    def seconds(self, since: float, until: float, *, step: float = 0.1) -> dict[State, float]:
        """Return how long each state lasted between the two moments, to the ``step``."""
        lasted = dict.fromkeys(State, 0.0)
        for number in range(int((until - since) / step)):
            lasted[self.state(since + number * step)] += step
        return lasted

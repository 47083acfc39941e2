"""The account of every request: what became of it, in which state, and what must never happen."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from tests.soak.chronicle import State

_MAX_TOLD: Final = 8  # of each kind


class Kind(StrEnum):
    """What became of a request, as the columns of the table."""

    COMPLETE = "complete"
    DEGRADED = "degraded"
    STALE = "stale"
    REFUSED = "4xx"
    FAILED = "5xx"
    UNDOCUMENTED = "undocumented"
    CUT = "failed connections"
    KILLED = "in flight at a kill"
    LEFT = "left by the client"


class Wrong(StrEnum):
    """What must never happen."""

    FOREIGN = "another user's bytes"
    OUTDATED = "own write not read"
    UNDOCUMENTED = "undocumented answers"
    UNEXPLAINED = "degraded in fair weather"
    CUT = "failed connections"
    LATE = "later than the deadline"
    TWICE = "done twice"
    LOGGED = "tracebacks and errors in logs"
    LEFT_BEHIND = "processes that did not end well"


class Excuse(StrEnum):
    """Why it may happen all the same: nobody promised it then."""

    NO_REDIS = "without Redis"
    ON_ITS_WAY = "at the other replica within 0.1 s"


@dataclass
class Tally:
    """The requests of one state; ``seconds`` are those of reads that were answered."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    wrongs: Counter[Wrong] = field(default_factory=Counter)
    excused: Counter[tuple[Wrong, Excuse]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.kinds.total()


@dataclass(frozen=True)
class Suspect:
    """What is wrong, unless Redis was not there for one of the processes at some time between the two moments."""

    state: State
    what: Wrong
    text: str
    processes: frozenset[Any]
    since: float
    until: float


class Ledger:
    def __init__(self) -> None:
        self.tallies: defaultdict[State, Tally] = defaultdict(Tally)
        self.told: list[str] = []
        self.suspects: list[Suspect] = []

    def record(self, state: State, kind: Kind, seconds: float | None = None) -> None:
        """Count one request; ``seconds`` is how long a read took."""
        tally = self.tallies[state]
        tally.kinds[kind] += 1
        if seconds is not None:
            tally.seconds.append(seconds)

    def wrong(self, state: State, what: Wrong, text: str) -> None:
        """Count what must never happen; ``text`` tells of it, the first ones are kept."""
        self.tallies[state].wrongs[what] += 1
        if self.wrongs[what] <= _MAX_TOLD:
            self.told.append(f"{what}: {text}")

    def excuse(self, state: State, what: Wrong, excuse: Excuse) -> None:
        self.tallies[state].excused[what, excuse] += 1

    def settle(self, without_redis: Callable[[Suspect], bool]) -> None:
        """Count every suspect as excused or as wrong, once all is known about Redis."""
        for suspect in self.suspects:
            if without_redis(suspect):
                self.excuse(suspect.state, suspect.what, Excuse.NO_REDIS)
            else:
                self.wrong(suspect.state, suspect.what, suspect.text)
        self.suspects.clear()

    @property
    def requests(self) -> int:
        return sum(tally.requests for tally in self.tallies.values())

    @property
    def wrongs(self) -> Counter[Wrong]:
        return self.all.wrongs

    @property
    def all(self) -> Tally:
        """The tally of all states together."""
        total = Tally()
        for tally in self.tallies.values():
            total.kinds += tally.kinds
            total.wrongs += tally.wrongs
            total.excused += tally.excused
            total.seconds += tally.seconds
        return total


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the smallest of them that at least ``share`` (0 to 1) of them do not exceed; 0.0 of none."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

"""The account as tables of markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

from tests.soak.chronicle import State
from tests.soak.ledger import Excuse, Kind, Ledger, Tally, Wrong, percentile
from tests.soak.replicas import Life

# What a row of its own tells: the others are columns beside, or say nothing of a state.
_NEVER: Final = (Wrong.FOREIGN, Wrong.OUTDATED, Wrong.TWICE, Wrong.UNEXPLAINED, Wrong.LATE)
_EXCUSED: Final = (
    (Wrong.OUTDATED, Excuse.ON_ITS_WAY),
    (Wrong.OUTDATED, Excuse.NO_REDIS),
    (Wrong.TWICE, Excuse.NO_REDIS),
)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def states(ledger: Ledger, seconds: dict[State, float]) -> str:
    """Return a row for each state that there was and one of all: what became of the requests, and how fast."""
    heads = ["state", "s", "requests", *Kind, "p50 ms", "p99 ms"]
    rows = [_row(state.value, seconds[state], tally) for state, tally in _in_order(ledger)]
    return table(heads, [*rows, _row("all", sum(seconds.values()), ledger.all)])


def never(ledger: Ledger) -> str:
    """Return a row for what must never happen, and for what may happen while nobody promises otherwise."""
    found = _in_order(ledger)
    tallies = [*(tally for _, tally in found), ledger.all]
    rows = [[what.value, *(f"{tally.wrongs[what]:,}" for tally in tallies)] for what in _NEVER]
    rows += [
        [f"({what}, {excuse})", *(f"{tally.excused[what, excuse]:,}" for tally in tallies)]
        for what, excuse in _EXCUSED
    ]
    return table(["must be 0", *(state.value for state, _ in found), "all"], rows)


def _in_order(ledger: Ledger) -> list[tuple[State, Tally]]:
    return [(state, ledger.tallies[state]) for state in State if state in ledger.tallies]


def _row(name: str, seconds: float, tally: Tally) -> list[str]:
    figures = [tally.requests, *(tally.kinds[kind] for kind in Kind)]
    latencies = [f"{1000 * percentile(tally.seconds, share):.1f}" for share in (0.5, 0.99)]
    return [name, f"{seconds:.0f}", *(f"{figure:,}" for figure in figures), *latencies]


def processes(lives: Iterable[Life]) -> str:
    """Return a row for each process of a replica: what it held, and how long it took to say that it lives."""
    heads = ["process", "lived s", "RSS MiB at 1 min", "at the end", "grown", "descriptors", "at the end"]
    return table([*heads, "liveness p99 ms", "max ms"], [_process(life) for life in lives])


def _process(life: Life) -> list[str]:
    (early, late), asked = life.grown, life.liveness or [0.0]
    lived = (life.ended or life.began) - life.began
    memory = [f"{early:.1f}", f"{late:.1f}", f"{late - early:+.1f}"]
    descriptors = [str(life.descriptors[0]), str(life.descriptors[-1])]
    liveness = [f"{1000 * percentile(asked, 0.99):.0f}", f"{1000 * max(asked):.0f}"]
    return [f"{life.name}, {life.process.pid}", f"{lived:.0f}", *memory, *descriptors, *liveness]

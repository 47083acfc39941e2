"""What is measured. Every scenario asks the servers in turn, round by round: A B C, A B C, ..."""

import itertools
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from bench.load import Window
from bench.machine import resident_mebibytes
from bench.open_loop import Offered
from bench.servers import BFF, BFF_LOGGING, BFF_NOT_KEEPING, BFF_NOT_REFUSING, NAMES, Server, running
from bench.store import LARGE_USER, USERS
from bench.upstream import STATEMENTS
from bench.world import HEALTH, SESSIONS, Surroundings, load, offer, request

CONCURRENCY = 32
CROWD = 1_000
UNHURRIED = 0.05  # seconds
OVERLOAD = 3  # times what there is
CALLERS = 2_000  # connections: without a limit, so many wait
BYSTANDER = 63  # the user whose requests warm a server up before the crowd comes

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    seconds: float
    rounds: int
    warm_up: float


@dataclass(frozen=True)
class Load:
    """The medians of one server in one scenario; ``calls`` of the gateway for each request."""

    per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float
    server_busy: float
    others_busy: float
    calls: float
    mebibytes: float


@dataclass(frozen=True)
class Burst:
    """What a crowd of equal requests cost, and how many of them were answered in full."""

    health: float
    sessions: float
    statements: float
    milliseconds: float
    complete: float


@dataclass(frozen=True)
class Overload:
    """A second of an overload: what was asked, well answered, refused, and lost (answered late or not at all)."""

    peak: float
    asked: float
    good: float
    refused: float
    lost: float
    good_ms: float
    refused_p50_ms: float
    refused_p90_ms: float


def progress(text: str) -> None:
    sys.stderr.write(f"bench: {text}\n")


def compare_answers(around: Surroundings) -> None:
    """Raise RuntimeError when the servers do not answer the same: the benchmark would compare nothing."""
    progress("comparing the answers")
    questions = [
        request(user, f"/api/dashboard/analytics?range={days}", cached=cached)
        for user, days, cached in itertools.product((0, LARGE_USER), (30, 90, 180, 365), (False, True))
    ]
    answers = {name: _answers(around, name, questions) for name in NAMES}
    for name in NAMES:
        for question, ours, theirs in zip(questions, answers[BFF], answers[name], strict=True):
            if json.loads(ours) != json.loads(theirs):
                raise RuntimeError(f"{name} answers differently to\n{question}{ours}\n{theirs}")


def _answers(around: Surroundings, name: str, questions: Iterable[str]) -> list[str]:
    with running(name, around.direct) as server:
        return [next(iter(load(server, [question], 0).bodies)) for question in questions]


def throughput(around: Surroundings, pace: Pace) -> dict[str, dict[str, Load]]:
    """Return, by scenario and server, what 32 connections get: kept answers, and answers made anew."""
    found = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, around.direct)) for name in (*NAMES, BFF_LOGGING)]
        found["cached"] = _scenario(around, pace, servers, "cached", delay=0.0, cached=True)
        for delay in (0.0, 0.005):
            name = f"uncached, {delay * 1000:g} ms"
            found[name] = _scenario(around, pace, servers[:-1], name, delay=delay, cached=False)
    return found


def _scenario(
    around: Surroundings, pace: Pace, servers: Sequence[Server], name: str, *, delay: float, cached: bool
) -> dict[str, Load]:
    around.delay(delay)
    requests = [request(user, cached=cached) for user in range(CONCURRENCY)]

    def ask(server: Server) -> Load:
        # Once without measuring, so that what is counted below is neither connecting nor the first fan-out.
        load(server, requests, 0)
        before = sum(around.counts().values())
        window = load(server, requests, pace.seconds, pace.warm_up)
        calls = sum(around.counts().values()) - before
        return _load(window, calls / window.asked, server)

    found = in_turn(pace, name, servers, ask, lambda server: server.name)
    around.delay(0)
    return {server: _median(loads) for server, loads in found.items()}


def _load(window: Window, calls: float, server: Server) -> Load:
    return Load(
        per_second=window.per_second,
        p50_us=window.p50_us,
        p99_us=window.p99_us,
        cpu_us=window.server_cpu_us,
        server_busy=window.server_busy,
        others_busy=window.others_busy,
        calls=calls,
        mebibytes=resident_mebibytes(server.pid),
    )


def crowd(around: Surroundings, pace: Pace) -> dict[str, Burst]:
    """Return what 1,000 equal requests at once, of which no answer is kept, cost each server."""
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, around.counting)) for name in NAMES]
        for server in servers:
            load(server, [request(BYSTANDER, cached=True)] * CONCURRENCY, pace.warm_up, pace.warm_up)
        users = iter(range(BYSTANDER))

        def ask(server: Server) -> Burst:
            return _burst(around, server, next(users))

        found = in_turn(pace, "crowd", servers, ask, lambda server: server.name)
    return {server: _median(bursts) for server, bursts in found.items()}


def _burst(around: Surroundings, server: Server, user: int) -> Burst:
    before = around.counts()
    window = load(server, [request(user, cached=True)] * CROWD, 0)
    after = around.counts()
    complete = sum(number for body, number in window.bodies.items() if _is_complete(body))
    return Burst(
        health=after[HEALTH] - before[HEALTH],
        sessions=after[SESSIONS] - before[SESSIONS],
        statements=after[STATEMENTS] - before[STATEMENTS],
        milliseconds=window.seconds * 1000,
        complete=complete,
    )


def _is_complete(body: str) -> bool:
    source: dict[str, str] = json.loads(body)["source"]
    return source == {"gateway": "live", "sessions": "live"}


@dataclass(frozen=True)
class Question:
    """An operation asked by one user, while the upstream takes ``delay`` seconds longer."""

    operation: str
    agents: str
    user: int
    delay: float = 0.0

    @property
    def name(self) -> str:
        late = f", upstream {self.delay * 1000:g} ms late" if self.delay else ""
        return f"{self.operation}, {self.agents} agents{late}"


# The last is for comparison: the small user, made to wait as long as the large one does.
QUESTIONS = (
    Question("stats", "10", 0),
    Question("stats", "10,000", LARGE_USER),
    Question("analytics", "10", 0),
    Question("analytics", "10,000", LARGE_USER),
    Question("analytics", "10", 0, delay=0.03),
)


def sizes(around: Surroundings, pace: Pace) -> dict[str, Load]:
    """Return what this gateway gives a user with 10 agents, and one with 10,000, both asking equally often.

    Equally often, because a process that is woken more seldom spends more on each request.
    """
    with running(BFF, around.direct) as server:

        def ask(question: Question) -> Load:
            around.delay(question.delay)
            asked = request(question.user, f"/api/dashboard/{question.operation}", cached=False)
            window = load(server, [asked], pace.seconds, pace.warm_up, every=UNHURRIED)
            return _load(window, 0, server)

        found = in_turn(pace, "sizes", QUESTIONS, ask, lambda question: question.name)
    return {name: _median(loads) for name, loads in found.items()}


R = TypeVar("R", Load, Burst, Overload)


def overload(around: Surroundings, pace: Pace) -> dict[str, Overload]:
    """Return what this gateway still does when three times what it can is asked, also when it refuses nothing.

    Nothing is kept, and of those that ask at once hardly two ask the same.
    """
    questions = [
        request(user, f"/api/dashboard/analytics?range={days}", cached=True)
        for days, user in itertools.product((30, 90, 180, 365), range(USERS))
    ]

    def ask(name: str) -> Overload:
        with running(name, around.direct) as server:
            offer(server, questions, 0, pace.warm_up, connections=CONCURRENCY)
            peak = offer(server, questions, 0, pace.seconds, connections=CONCURRENCY)
            asked = OVERLOAD * peak.goodput
            found = offer(server, questions, asked, pace.seconds, connections=CALLERS, warm_up=pace.warm_up)
            return _overload(peak.goodput, asked, found)

    found = in_turn(pace, "overload", (BFF_NOT_KEEPING, BFF_NOT_REFUSING), ask, str)
    return {name: _median(overloads) for name, overloads in found.items()}


def _overload(peak: float, asked: float, found: Offered) -> Overload:
    refused = len(found.refused) / found.seconds
    return Overload(
        peak=peak,
        asked=asked,
        good=found.goodput,
        refused=refused,
        lost=asked - found.goodput - refused,
        good_ms=_milliseconds(found.good, 0.5),
        refused_p50_ms=_milliseconds(found.refused, 0.5),
        refused_p90_ms=_milliseconds(found.refused, 0.9),
    )


def _milliseconds(seconds: Sequence[float], share: float) -> float:
    """Return what this share of them is below, 0 of none."""
    return sorted(seconds)[int(len(seconds) * share)] * 1000 if seconds else 0.0


def in_turn(
    pace: Pace, what: str, subjects: Sequence[T], ask: Callable[[T], R], name: Callable[[T], str]
) -> dict[str, list[R]]:
    found: defaultdict[str, list[R]] = defaultdict(list)
    for number in range(pace.rounds):
        for subject in subjects:
            progress(f"{what}: {name(subject)} ({number + 1}/{pace.rounds})")
            found[name(subject)].append(ask(subject))
    return found


def _median(results: Sequence[R]) -> R:
    fields = vars(results[0])
    medians = {field: statistics.median(getattr(each, field) for each in results) for field in fields}
    return type(results[0])(**medians)

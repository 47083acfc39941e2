"""The soak from beginning to end: the world, the visitors, the weather, the lines on the way and the account."""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from tests.soak import table
from tests.soak.balancer import Balancer
from tests.soak.chronicle import REDIS, Chronicle, State
from tests.soak.ledger import Ledger, Suspect, Wrong, percentile
from tests.soak.replicas import Life, warnings
from tests.soak.traffic import visit
from tests.soak.users import User
from tests.soak.visitor import Lag, Surroundings, Visitor
from tests.soak.weather import blow
from tests.soak.world import World, world

USERS: Final = 300
VISITORS: Final = 36
_LINE_SECONDS: Final = 10.0
_LAG_SECONDS: Final = 0.05
_MEASURE_SECONDS: Final = 5.0


async def soak(seconds: float, seed: int, only: str) -> bool:
    """Soak for so long and print the account; return whether nothing happened that must never happen."""
    say(f"seed {seed}, {seconds / 60:g} minutes, {USERS} users, {VISITORS} visitors")
    users = [User(number) for number in range(USERS)]
    ledger, chronicle, lag = Ledger(), Chronicle(), Lag()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with world(users, Path(folder)) as the:
            around = Surroundings(Balancer(the.replicas, Random(seed)), ledger, chronicle, lag, the.database)
            began = time.monotonic()
            await _ask_in_all_weathers(the, around, seed, began + seconds, only)
            ended = time.monotonic()
            await asyncio.gather(*(replica.close() for replica in the.replicas))
            ledger.settle(lambda suspect: _without_redis(suspect, chronicle))
        lives = [life for replica in the.replicas for life in replica.lives]
        logged = _logged(lives)
    _judge_processes(the, ledger, logged)
    say(f"\n{table.states(ledger, chronicle.seconds(began, ended))}\n\n{table.never(ledger)}\n")
    say(f"{table.processes(lives)}\n")
    say(f"the soak's own event loop was late by {1000 * lag.worst():.0f} ms at most\n")
    _tell("in the gateways' logs", [f"{count:,} x {line}" for line, count in logged.most_common()])
    _tell("what must never happen", ledger.told)
    say("clean" if not ledger.wrongs else f"NOT CLEAN: {_counts(ledger.wrongs)}")
    return not ledger.wrongs


async def _ask_in_all_weathers(the: World, around: Surroundings, seed: int, until: float, only: str) -> None:
    async with asyncio.TaskGroup() as behind:
        others = [
            behind.create_task(each)
            for each in (_note_lag(around.lag), _measure(the), _tell_progress(the, around))
        ]
        async with asyncio.TaskGroup() as asking:
            asking.create_task(blow(the, around.chronicle, seed, until, only))
            for number in range(VISITORS):
                visitor = Visitor(around, list(the.users[number::VISITORS]), Random(f"{seed} {number}"))
                asking.create_task(visit(visitor, until))
        for each in others:
            each.cancel()


async def _note_lag(lag: Lag) -> None:
    while True:
        due = time.monotonic() + _LAG_SECONDS
        await asyncio.sleep(_LAG_SECONDS)
        now = time.monotonic()
        lag.note(now, now - due)


async def _measure(the: World) -> None:
    while True:
        await asyncio.sleep(_MEASURE_SECONDS)
        for replica in the.replicas:
            replica.life.measure()


async def _tell_progress(the: World, around: Surroundings) -> None:
    began, before = time.monotonic(), 0
    while True:
        await asyncio.sleep(_LINE_SECONDS)
        ledger, now = around.ledger, time.monotonic()
        requests, state = ledger.requests, around.chronicle.state(now)
        wrongs = _counts(ledger.wrongs) or "nothing"
        memory = "/".join(f"{replica.life.memory[-1][1]:.0f}" for replica in the.replicas)
        p99 = 1000 * percentile(ledger.tallies[state].seconds, 0.99)
        say(
            f"{now - began:4.0f} s  {requests:,} requests, {(requests - before) / _LINE_SECONDS:.0f}/s; "
            f"{around.chronicle.names(now)}, p99 {p99:.0f} ms; RSS {memory} MiB; wrong: {wrongs}"
        )
        before = requests


def _without_redis(suspect: Suspect, chronicle: Chronicle) -> bool:
    """Return whether Redis was in trouble, or one of the processes said that it was not there."""
    is_told = any(life.was_without_redis(suspect.since, suspect.until) for life in suspect.processes)
    return is_told or REDIS in chronicle.hurt(suspect.since, suspect.until)


def _logged(lives: list[Life]) -> Counter[str]:
    return sum((warnings(life.log) for life in lives), Counter())


def _judge_processes(the: World, ledger: Ledger, logged: Counter[str]) -> None:
    for replica in the.replicas:
        for failure in replica.failures:
            ledger.wrong(State.ROLLING, Wrong.LEFT_BEHIND, failure)
    for line, count in logged.items():
        if line.startswith("error"):
            ledger.wrong(State.CALM, Wrong.LOGGED, f"{count} x {line}")


def _counts(wrongs: Counter[Wrong]) -> str:
    return ", ".join(f"{count} {wrong}" for wrong, count in wrongs.items())


def _tell(title: str, lines: list[str]) -> None:
    if lines:
        say(f"{title}:\n" + "\n".join(f"- {line}" for line in lines) + "\n")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

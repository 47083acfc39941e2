"""Bad weather: every fault by its name, how it is made, and the order in which they come."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final, Protocol

from demo.faults import Faults
from tests.faults import proxy
from tests.soak.chronicle import REDIS, Chronicle, State
from tests.soak.replicas import Replica
from tests.soak.world import HTTP, World

CALM_SECONDS: Final = (5.0, 9.0)
SPELL_SECONDS: Final = (3.0, 6.0)
_TWO_AT_ONCE: Final = 0.2

# By how much: so that some calls are too late and others are not.
_ON_THE_WIRE: Final[dict[proxy.Fault, dict[str, Any]]] = {
    "latency": {"seconds": 0.3},
    "jitter": {"seconds": 1.0},
    "bandwidth": {"rate": 2000},
    "slices": {"size": 7},
    "hang": {},
    "half_open": {},
    "truncation": {"after": 40},
    "reset": {},
    "refuse": {},
}
# Redis has 80 ms for everything.
_TO_REDIS: Final = _ON_THE_WIRE | {"latency": {"seconds": 0.06}, "jitter": {"seconds": 0.15}}

# The pretend platform's own, without those that keep its event loop, which is the soak's too, from all else.
_BY_UPSTREAM: Final = {
    "status 500": Faults(status=500),
    "html": Faults(html=True),
    "malformed": Faults(malformed=True),
    "truncated": Faults(truncated=True),
    "wrong types": Faults(wrong_types=True),
    "nulls": Faults(nulls=True),
    "redirect": Faults(redirect=True),
    "late by 0.7 s": Faults(latency=0.7),
}


@dataclass(frozen=True)
class Fault:
    """``hurts`` are the upstreams in trouble ``within``, as plans name them, or redis."""

    name: str
    state: State
    hurts: frozenset[str]
    within: Callable[[], AbstractAsyncContextManager[None]]


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


@asynccontextmanager
async def _wire(between: proxy.Proxy, fault: proxy.Fault, how: dict[str, Any]) -> AsyncIterator[None]:
    await between.misbehave(fault, **how)
    try:
        yield
    finally:
        await between.misbehave(None)


@asynccontextmanager
async def _wires(betweens: list[proxy.Proxy], fault: proxy.Fault, how: dict[str, Any]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for between in betweens:
            await stack.enter_async_context(_wire(between, fault, how))
        yield


@asynccontextmanager
async def _upstream(world: World, name: str, faults: Faults) -> AsyncIterator[None]:
    await world.upstreams[name].misbehave(faults)
    try:
        yield
    finally:
        await world.upstreams[name].misbehave(None)


@asynccontextmanager
async def _stopped(server: _Server) -> AsyncIterator[None]:
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def _threaded(make: Callable[[], AbstractContextManager[None]]) -> AsyncIterator[None]:
    manager = make()
    await asyncio.to_thread(manager.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def _read_only(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.redis.ask, "REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        await asyncio.to_thread(world.redis.ask, "REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def _drained(replica: Replica) -> AsyncIterator[None]:
    await replica.drain()
    try:
        yield
    finally:
        await replica.start()


@asynccontextmanager
async def _killed(replica: Replica) -> AsyncIterator[None]:
    await replica.kill()
    try:
        yield
    finally:
        await replica.start()


def faults(world: World) -> dict[State, list[Fault]]:
    """Return every fault there is, by the state that it makes."""
    restarted = world.replicas[-1]  # the others live as long as the soak, so that what they gather shows
    return {
        State.UPSTREAM: [each for name in HTTP for each in _of_upstream(world, name)],
        State.REDIS: _of_redis(world),
        State.STORE: _of_store(world),
        State.ROLLING: [
            Fault("SIGTERM and a new process", State.ROLLING, frozenset(), partial(_drained, restarted))
        ],
        State.KILLED: [Fault("SIGKILL and a new process", State.KILLED, frozenset(), partial(_killed, restarted))],
    }


def _of_upstream(world: World, name: str) -> Iterator[Fault]:
    # Users with a gateway of their own have their sessions there.
    hurts = frozenset({name, "sessions"} if name == "gateway" else {name})
    for wire, how in _ON_THE_WIRE.items():
        yield Fault(f"{name}: {wire}", State.UPSTREAM, hurts, partial(_wire, world.proxies[name], wire, how))
    for told, given in _BY_UPSTREAM.items():
        yield Fault(f"{name}: {told}", State.UPSTREAM, hurts, partial(_upstream, world, name, given))


def _of_store(world: World) -> list[Fault]:
    made: dict[str, Any] = {
        name: partial(_wire, world.proxies["user_store"], name, how) for name, how in _ON_THE_WIRE.items()
    }
    own: dict[str, Any] = {
        "stopped": partial(_stopped, world.postgres),
        "SIGSTOP": partial(_threaded, world.postgres.hung),
    }
    hurts = frozenset({"user_store"})
    everything = made | own
    return [Fault(f"user store: {name}", State.STORE, hurts, within) for name, within in everything.items()]


def _of_redis(world: World) -> list[Fault]:
    ways = [between for name, between in world.proxies.items() if name.startswith(REDIS)]
    both: dict[str, Any] = {name: partial(_wires, ways, name, how) for name, how in _TO_REDIS.items()}
    one: dict[str, Any] = {
        f"{name}, one replica": partial(_wire, ways[-1], name, _TO_REDIS[name]) for name in ("hang", "reset")
    }
    own: dict[str, Any] = {
        "killed, then empty": partial(_stopped, world.redis),
        "SIGSTOP": partial(_threaded, world.redis.hung),
        "out of memory": partial(_threaded, partial(world.redis.config, maxmemory=1)),
        "read-only": partial(_read_only, world),
    }
    hurts = frozenset({REDIS})
    everything = both | one | own
    return [Fault(f"redis: {name}", State.REDIS, hurts, within) for name, within in everything.items()]


# How often each state has its turn.
_ROUND: Final = (
    *(State.REDIS, State.UPSTREAM, State.STORE, State.UPSTREAM, State.ROLLING),
    *(State.UPSTREAM, State.REDIS, State.UPSTREAM, State.STORE, State.UPSTREAM, State.KILLED, State.UPSTREAM),
)


class Forecast:
    """The faults in the order in which they come: the same for the same seed, each once before any comes again."""

    def __init__(self, known: dict[State, list[Fault]], chance: Random, only: str = "") -> None:
        self._known = {state: [each for each in known[state] if only in each.name] for state in known}
        self._chance = chance
        self._left: dict[State, list[Fault]] = {state: [] for state in known}
        self._round = [state for state in _ROUND if self._known[state]]
        self._turn = 0

    def next(self) -> list[Fault]:
        """Return what comes next: one fault, or sometimes two of different kinds."""
        first = self._deal(self._state())
        if self._chance.random() >= _TWO_AT_ONCE:
            return [first]
        second = self._deal(self._state())
        return [first] if second.state is first.state else [first, second]

    def _state(self) -> State:
        self._turn += 1
        return self._round[(self._turn - 1) % len(self._round)]

    def _deal(self, state: State) -> Fault:
        if not self._left[state]:
            self._left[state] = self._chance.sample(self._known[state], len(self._known[state]))
        return self._left[state].pop()


async def blow(world: World, chronicle: Chronicle, seed: int, until: float, only: str) -> None:
    """Have one spell of bad weather after the other until that moment (monotonic clock); be calm at the end.

    ``only`` is in the name of every fault that may come.
    """
    chance = Random(seed)
    forecast = Forecast(faults(world), chance, only)
    while True:
        calm, spell = chance.uniform(*CALM_SECONDS), chance.uniform(*SPELL_SECONDS)
        if time.monotonic() + calm + spell > until:
            return
        await asyncio.sleep(calm)
        coming = forecast.next()
        begun = [chronicle.begin(each.name, each.state, each.hurts, time.monotonic()) for each in coming]
        async with AsyncExitStack() as stack:
            for each in coming:
                await stack.enter_async_context(each.within())
            await asyncio.sleep(spell)
        for spell_begun in begun:
            spell_begun.ended = time.monotonic()

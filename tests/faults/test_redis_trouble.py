"""Promise 3: Redis is an accelerator. Whatever happens to it, answers stay right and are late at most once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from demo.faults import Faults
from tests.faults.proxy import Fault, Proxy, proxy
from tests.faults.rig import Rig, replicas, until
from tests.faults.table import SLACK
from tests.faults.test_redis_promises import COST, KEPT, sharing, state
from tests.redis_servers import RedisServer

PROMISED = 0.1  # seconds that the first requests may take longer
RECOVERY = 5.0  # seconds

Trouble = Callable[[RedisServer, Proxy], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def gone(server: RedisServer, _: Proxy) -> AsyncIterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@asynccontextmanager
async def hung(server: RedisServer, _: Proxy) -> AsyncIterator[None]:
    with server.hung():
        yield


@asynccontextmanager
async def full(server: RedisServer, _: Proxy) -> AsyncIterator[None]:
    with server.config(maxmemory_policy="noeviction", maxmemory=1):
        yield


@asynccontextmanager
async def read_only(server: RedisServer, _: Proxy) -> AsyncIterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        yield
    finally:
        server.ask("REPLICAOF", "NO", "ONE")


def on_the_wire(fault: Fault, **how: float) -> Trouble:
    @asynccontextmanager
    async def trouble(_: RedisServer, between: Proxy) -> AsyncIterator[None]:
        await between.misbehave(fault, **how)
        try:
            yield
        finally:
            await between.misbehave(None)

    return trouble


TROUBLES: dict[str, Trouble] = {
    "gone": gone,
    "hung": hung,
    "full": full,
    "read-only": read_only,
    "slow": on_the_wire("latency", seconds=0.1),
    "dripping": on_the_wire("bandwidth", rate=100),
    "half-open": on_the_wire("half_open"),
    "cut": on_the_wire("truncation", after=1),
    "reset": on_the_wire("reset"),
    "refusing": on_the_wire("refuse"),
}


def failures(rig: Rig) -> float:
    """Return how many commands Redis was asked in vain, which costs time; not those that it was not asked."""
    return sum(
        rig.gateway.metrics.redis_failures.labels(reason)._value.get()
        for reason in ("timeout", "connection", "refused")
    )


@asynccontextmanager
async def two_behind(server: RedisServer, store: str) -> AsyncIterator[tuple[Proxy, Rig, Rig]]:
    """Run two replicas whose Redis is behind a proxy."""
    async with proxy(server.port) as between:
        settings = sharing(f"redis://127.0.0.1:{between.port}/0")
        async with replicas(store, [settings] * 2) as (one, other):
            await until(lambda: one.gateway.redis.is_up and other.gateway.redis.is_up)
            yield between, one, other


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
@pytest.mark.usefixtures("redis_url")
async def test_3_answers_stay_right_and_are_late_at_most_once(
    trouble: Trouble, sqlite_url: str, redis_server: RedisServer
) -> None:
    async with two_behind(redis_server, sqlite_url) as (between, one, other):
        await one.complete(KEPT)
        usual = await one.ask_all(KEPT)
        async with trouble(redis_server, between):
            first = await one.ask_all(KEPT)
            in_vain = failures(one)
            later = await one.ask_all(KEPT)
            assert failures(one) == in_vain

        for plan in KEPT:
            for answer in (first[plan.name], later[plan.name]):
                assert (answer.status, answer.lasting) == (usual[plan.name].status, usual[plan.name].lasting)
            assert first[plan.name].seconds < usual[plan.name].seconds + PROMISED + SLACK

        await until(lambda: one.gateway.redis.is_up and other.gateway.redis.is_up, within=RECOVERY)
        await one.ask(COST)
        await until(lambda: _is_shared(other), within=RECOVERY)


async def _is_shared(other: Rig) -> bool:
    other.gateway._answers.drop()
    return state(await other.ask(COST, anew=False)) == "hit"


@pytest.mark.usefixtures("redis_url")
async def test_3_a_restart_brings_no_herd(sqlite_url: str, redis_server: RedisServer) -> None:
    async with two_behind(redis_server, sqlite_url) as (_, one, other):
        for each in (one, other):
            await each.complete(KEPT)
        redis_server.stop()
        redis_server.start()
        heard = one.heard()
        for each in (one, other):
            await each.ask_all(KEPT, anew=False)
        assert one.heard() == heard  # the first tiers know

        for each in (one, other):
            assert (await each.ask(COST)).is_complete  # in the course of which the loss is noticed
        await until(lambda: one.gateway.redis.is_up and other.gateway.redis.is_up, within=RECOVERY)
        for each in (one, other):
            each.gateway._answers.drop()
        redis_server.ask("FLUSHALL")
        asked = one.count("metrics", "/api/metrics/cost")
        await one.misbehave("metrics", Faults(latency=0.2))
        answers = await asyncio.gather(*(each.ask(COST, anew=False) for each in (one, other) for _ in range(50)))
        assert asked() == 1  # and who does not, leads for all
        assert all(answer.is_complete for answer in answers)

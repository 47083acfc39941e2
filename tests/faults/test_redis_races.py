"""What comes between a look-up in Redis and its end: writes, slow leaders, unreadable copies, another master."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from bff.cache.answers import Answered, Answers, Shared, State
from bff.cache.invalidation import Invalidations
from bff.cache.second_tier import SecondTier
from bff.cache.store import Store
from bff.metrics import Metrics
from bff.plans import Keep, Plan, Source, optional, required
from bff.plans.shared import Sources
from bff.redis import Redis
from bff.vault import Vault
from tests.bff.asking import Note, ask, caller, plan
from tests.faults.rig import until
from tests.redis_servers import RedisCluster, RedisSentinels, RedisServer

KEEP = Keep(fresh=30, stale=300, on_error=600)
OLD_KEY, NEW_KEY = os.urandom(32), os.urandom(32)


class World:
    """What all replicas ask: says ``value`` as it is when asked, after ``takes`` seconds."""

    def __init__(self, make: Callable[..., Source[Any]] = required, **more: Any) -> None:
        self.value = "old"
        self.takes = 0.0
        self.asked = 0
        self._source = make("store", self._fetch, **more)
        self.plan: Plan[Any] = plan(
            self._source, merge=lambda _, got: Note(some_text=str(got[self._source])), keep=KEEP
        )

    async def _fetch(self, *_: Any) -> str:
        self.asked += 1
        said = self.value
        await asyncio.sleep(self.takes)
        return said


class Replica:
    def __init__(self, url: str, vault: Vault | None) -> None:
        self.redis = Redis(url, Metrics())
        self.metrics = Metrics()
        self.answers = Answers(Sources(None), Store(1_000_000))
        self.tier = SecondTier(self.redis, "bff", vault, self.metrics, KEEP.on_error)
        self.invalidations = Invalidations(self.redis, "bff", self.answers, self.metrics, KEEP.on_error)
        self.answers.share(Shared(self.tier, self.invalidations))

    async def ask(self, plan: Plan[Any], user: str = "u") -> Answered:
        expires = asyncio.get_running_loop().time() + plan.deadline
        return await self.answers.answer(plan, ask(user=user), expires=expires)

    async def told(self, plan: Plan[Any], user: str = "u") -> tuple[State, str]:
        answered = await self.ask(plan, user)
        await asyncio.gather(*self.tier._behind)
        return answered.state, answered.entry.body.decode().removeprefix('{"someText":"').removesuffix('"}')

    async def write(self, plan: Plan[Any], user: str = "u") -> None:
        await self.answers.changed([plan.name], caller(user))


@pytest.fixture
async def replica(redis_url: str) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:

        async def opened(vault: Vault | None = None, url: str = redis_url) -> Replica:
            made = Replica(url, vault)
            stack.push_async_callback(made.redis.close)
            stack.push_async_callback(made.answers.close)
            await made.redis.open()
            await until(lambda: made.redis.is_up and made.redis.hears)
            return made

        yield opened


async def test_a_write_is_read_back_though_a_look_up_overtook_it(replica: Any) -> None:
    world, one = World(), await replica()
    for number in range(50):
        world.value = f"old {number}"
        await one.told(world.plan)
        world.value = f"new {number}"
        looking = [asyncio.create_task(one.told(world.plan)) for _ in range(5)]
        writing = asyncio.create_task(one.write(world.plan))
        looking += [asyncio.create_task(one.told(world.plan)) for _ in range(5)]
        await writing
        assert (await one.told(world.plan))[1] == f"new {number}"
        await asyncio.gather(*looking)
        await one.write(world.plan)


async def test_a_write_that_redis_refused_is_told_again(replica: Any, redis_server: RedisServer) -> None:
    world, one, other = World(), await replica(), await replica()
    await one.told(world.plan)
    await other.told(world.plan)
    world.value = "new"
    redis_server.ask("ACL", "SETUSER", "default", "-hdel")
    try:
        await one.write(world.plan)
        assert (await one.told(world.plan))[1] == "new"  # not from Redis, which may not know
    finally:
        redis_server.ask("ACL", "SETUSER", "default", "+hdel")
    await until(lambda: not one.invalidations.owes(("u",)))
    other.answers.drop()
    assert (await other.told(world.plan))[1] == "new"


async def test_a_write_whose_caller_goes_away_is_told_all_the_same(replica: Any) -> None:
    world, one, other = World(), await replica(), await replica()
    await other.told(world.plan)
    world.value = "new"
    writing = asyncio.create_task(one.write(world.plan))
    await asyncio.sleep(0)
    writing.cancel()
    await until(other.metrics.invalidations.labels("elsewhere")._value.get)
    assert (await other.told(world.plan))[1] == "new"


STANDING_IN = {"otherwise": "stand-in", "stands_in": "nothing"}


@pytest.mark.parametrize(("make", "more"), [(required, {}), (optional, STANDING_IN)], ids=["required", "optional"])
async def test_an_upstream_that_takes_long_costs_no_replica_its_answer(
    make: Callable[..., Source[Any]], more: dict[str, Any], replica: Any
) -> None:
    world, one, other = World(make, **more), await replica(), await replica()
    world.takes = 0.6 * world.plan.deadline  # longer than another replica waits before it asks itself
    leading = asyncio.create_task(one.ask(world.plan))
    await until(lambda: world.asked)
    following = await other.ask(world.plan)
    assert (following.entry.body, following.entry.degraded) == ((await leading).entry.body, None)
    one.answers.drop()
    assert await one.told(world.plan) == (State.HIT, "old")


async def test_what_is_too_large_to_share_is_made_by_each_at_once(replica: Any) -> None:
    world, one, others = World(), await replica(), [await replica(), await replica()]
    world.value = "x" * 2**20
    await one.told(world.plan)
    world.takes = 0.2
    async with asyncio.timeout(world.plan.deadline / 4):
        came = await asyncio.gather(*(other.ask(world.plan) for other in others))
    assert [each.state for each in came] == [State.MISS, State.MISS]


UNREADABLE = {
    "sealed with a key it does not know": (Vault([NEW_KEY, OLD_KEY]), Vault([OLD_KEY]), {"secret": True}, {}),
    "kept for longer than it would": (None, None, {}, {"keep": Keep(fresh=3, stale=30, on_error=60)}),
}


@pytest.mark.parametrize(("ours", "theirs", "kind", "there"), UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_copy_that_a_replica_cannot_read_costs_it_no_time(
    ours: Vault | None, theirs: Vault | None, kind: dict[str, Any], there: dict[str, Any], replica: Any
) -> None:
    world, one, other = World(), await replica(ours), await replica(theirs)
    kept_here = replace(world.plan, **kind)
    kept_there = replace(kept_here, **there)
    await one.told(kept_here)
    async with asyncio.timeout(kept_there.deadline / 4):
        assert await other.told(kept_there) == (State.MISS, "old")
    assert other.metrics.second_tier.labels("refused")._value.get() == 1


async def _share(one: Replica, other: Replica, users: Iterable[str]) -> None:
    """Have both replicas share the answers of these users, and one hear of the other's writes."""
    world = World()
    for user in users:
        world.value = f"old of {user}"
        assert await one.told(world.plan, user) == (State.MISS, f"old of {user}")
        assert await other.told(world.plan, user) == (State.HIT, f"old of {user}")
        world.value = f"new of {user}"
        heard = other.metrics.invalidations.labels("elsewhere")._value.get()
        await one.write(world.plan, user)
        await until(lambda heard=heard: other.metrics.invalidations.labels("elsewhere")._value.get() > heard)
        assert await other.told(world.plan, user) == (State.MISS, f"new of {user}")
        assert await one.told(world.plan, user) == (State.HIT, f"new of {user}")


async def test_a_cluster_is_shared_like_a_server(replica: Any) -> None:
    with RedisCluster() as cluster:
        one, other = await replica(url=cluster.url), await replica(url=cluster.url)
        await _share(one, other, [f"user {number}" for number in range(20)])  # every master has some of them


async def test_after_a_failover_the_new_master_is_shared(replica: Any) -> None:
    with RedisSentinels(3, down_after=300) as servers:
        one, other = await replica(url=servers.url), await replica(url=servers.url)
        await _share(one, other, ["ada", "bob"])
        servers.master.stop()
        await until(lambda: not (one.redis.is_up or other.redis.is_up))
        world, visitors = World(), count()

        async def is_shared() -> bool:
            user = f"visitor {next(visitors)}"
            await one.told(world.plan, user)
            return await other.told(world.plan, user) == (State.HIT, "old")

        await until(is_shared, within=20)
        await _share(one, other, ["carol", "dan"])

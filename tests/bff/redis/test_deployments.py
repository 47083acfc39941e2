"""Redis behind sentinels, and a cluster: whoever is the master now is asked, or nobody."""

import asyncio
from collections.abc import Iterator

import pytest
from redis.crc import key_slot

from bff.metrics import Metrics
from bff.redis import Redis
from tests.bff.redis.asking import GET, SET, Open, answers, outcome
from tests.bff.redis.listening import CHANNEL, GAP, Listener
from tests.faults.rig import until
from tests.redis_servers import SLOTS, RedisCluster, RedisSentinels, RedisServer

pytestmark = pytest.mark.usefixtures("patient")

TAKEN_OVER_WITHIN = 15.0  # most of it is the sentinels' and the cluster's own


class TestSentinels:
    async def test_name_another_master_when_it_is_gone(self) -> None:
        with RedisSentinels(3, down_after=500) as servers:
            async with Listener(servers.url) as listener:
                redis = listener.redis
                assert await outcome(redis, SET) == b"OK"
                await until(lambda: servers.replica.ask("GET", "key") == b"arg")
                servers.master.stop()
                assert await outcome(redis, GET) == "connection"
                await until(lambda: redis.is_up, within=TAKEN_OVER_WITHIN)
                assert await outcome(redis, GET) == b"arg"
                assert await outcome(redis, SET) == b"OK"
                await until(lambda: listener.heard == [GAP, GAP])
                servers.replica.ask("PUBLISH", CHANNEL, "hello")
                assert await listener.hears(GAP, GAP, b"hello")

    async def test_may_be_gone_in_part(self, opened: Open) -> None:
        with RedisSentinels(3) as servers:
            for sentinel in servers.sentinels[:2]:
                sentinel.stop()
            assert await answers(await opened(servers.url))

    async def test_tell_of_a_master_that_has_become_a_replica(self, opened: Open) -> None:
        """As after a change of masters that ended no connection."""
        with RedisSentinels(1) as servers:
            redis = await opened(servers.url)
            servers.sentinels[0].stop()
            servers.master.ask("REPLICAOF", "127.0.0.1", servers.replica.port)
            assert await outcome(redis, SET) == "refused"
            assert not redis.is_up

    async def test_want_passwords_of_their_own(self, opened: Open) -> None:
        servers = RedisSentinels(1)
        servers.sentinels[0].settings["requirepass"] = "s3cr3t"
        with servers:
            servers.master.ask("CONFIG", "SET", "requirepass", "another")
            url = servers.url.replace("//", "//:another@") + "?sentinel_password=s3cr3t"
            assert await answers(await opened(url))

    async def test_that_know_no_such_master(self, metrics: Metrics) -> None:
        with RedisSentinels(1) as servers:
            redis = Redis(servers.url.replace(servers.SERVICE, "other"), metrics)
            await redis.open()
            assert await outcome(redis) == "down"
            await redis.close()


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(running_cluster: RedisCluster) -> RedisCluster:
    """Give a cluster with nothing in it."""
    for master in running_cluster.masters:
        master.ask("FLUSHALL")
    return running_cluster


def key_of(slot: int) -> str:
    """Return a key in the slot."""
    return next(key for key in map(str, range(10 * SLOTS)) if key_slot(key.encode()) == slot)


class TestACluster:
    async def test_holds_keys_in_all_its_slots(self, cluster: RedisCluster, opened: Open) -> None:
        redis = await opened(cluster.url)
        keys = [str(number) for number in range(300)]
        assert [await outcome(redis, SET, key, key) for key in keys] == [b"OK"] * len(keys)
        assert await asyncio.gather(*(outcome(redis, GET, key) for key in keys)) == [key.encode() for key in keys]
        held = [master.ask("DBSIZE") for master in cluster.masters]
        assert sum(held) == len(keys)
        assert min(held) > 0

    async def test_passes_on_what_any_node_is_told(self, cluster: RedisCluster) -> None:
        async with Listener(cluster.url) as listener:
            for number, master in enumerate(cluster.masters):
                master.ask("PUBLISH", CHANNEL, number)
                await until(lambda: listener.heard[-1] == b"%d" % number)  # noqa: B023
            assert listener.heard == [GAP, b"0", b"1", b"2"]

    async def test_refuses_a_little_while_a_slot_moves_and_is_followed_then(
        self, cluster: RedisCluster, opened: Open
    ) -> None:
        redis = await opened(cluster.url)
        source, target, _ = cluster.masters
        slot = cluster.slots(0)[0]
        key = key_of(slot)
        assert await outcome(redis, GET, key) is None
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))
        assert await outcome(redis, GET, key) == "refused"
        for master in (target, source):
            master.ask("CLUSTER", "SETSLOT", slot, "NODE", target.ask("CLUSTER", "MYID"))
        assert await outcome(redis, SET, key) == b"OK"
        assert target.ask("GET", key) == b"arg"
        assert redis.is_up

    @pytest.mark.parametrize("number", [0, 1, 2])
    async def test_is_found_by_any_of_its_nodes(self, number: int, cluster: RedisCluster, opened: Open) -> None:
        redis = await opened(f"redis+cluster://127.0.0.1:{cluster.masters[number].port}")
        assert [await outcome(redis, GET, f"none {key}") for key in range(20)] == [None] * 20

    async def test_is_down_as_a_whole_while_a_master_hangs(self, cluster: RedisCluster, opened: Open) -> None:
        redis = await opened(cluster.url)
        key, elsewhere = (key_of(cluster.slots(number)[1]) for number in (1, 2))
        with cluster.masters[1].hung():
            assert await outcome(redis, GET, elsewhere) is None
            assert await outcome(redis, GET, key) == "timeout"
            assert await outcome(redis, GET, elsewhere) == "down"
        await until(lambda: redis.is_up)
        assert await outcome(redis, GET, key) is None

    async def test_is_up_again_when_a_replica_has_taken_over(self, opened: Open) -> None:
        with RedisCluster(down_after=500) as cluster:
            redis = await opened(cluster.url)
            key = key_of(cluster.slots(0)[1])
            assert await outcome(redis, SET, key) == b"OK"
            await until(lambda: cluster.replica.ask("INFO", "keyspace").get("db0"))
            cluster.masters[0].stop()
            assert await outcome(redis, GET, key) == "connection"
            assert not redis.is_up

            async def has_taken_over() -> bool:
                return await outcome(redis, GET, key) == b"arg"

            await until(has_taken_over, within=TAKEN_OVER_WITHIN)
            assert redis.is_up

    async def test_that_is_none(self, redis_server: RedisServer, metrics: Metrics) -> None:
        redis = Redis(redis_server.url.replace("redis://", "redis+cluster://").removesuffix("/0"), metrics)
        await redis.open()
        assert await outcome(redis) == "down"
        await redis.close()

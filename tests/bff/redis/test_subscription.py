"""Messages arrive at once, and whoever listens is told when some may not have."""

import time

import pytest
from structlog.testing import capture_logs

from bff.redis import Script
from tests.bff.redis.asking import outcome
from tests.bff.redis.listening import CHANNEL, GAP, NOTICED_WITHIN, UNBEARABLE, Listener
from tests.faults.proxy import Proxy
from tests.faults.rig import until
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.usefixtures("patient")

PUBLISH = Script(f"return redis.call('PUBLISH', '{CHANNEL}', ARGV[1])")
SOON = 0.1


async def test_the_first_subscription_may_have_missed_some(redis_url: str, redis_server: RedisServer) -> None:
    redis_server.ask("PUBLISH", CHANNEL, "before")
    async with Listener(redis_url) as listener:
        redis_server.ask("PUBLISH", CHANNEL, b"\0\xff\r\n")
        redis_server.ask("PUBLISH", "another", "channel's")
        redis_server.ask("PUBLISH", CHANNEL, "")
        assert await listener.hears(GAP, b"\0\xff\r\n", b"")


async def test_a_message_arrives_at_every_listener_at_once(redis_url: str) -> None:
    async with Listener(redis_url) as one, Listener(redis_url) as other:
        seconds = []
        for number in range(20):
            started = time.monotonic()
            assert await outcome(one.redis, PUBLISH, arg=number) == 2
            await until(lambda: one.heard[-1] == other.heard[-1] == b"%d" % number)  # noqa: B023
            seconds.append(time.monotonic() - started)
        assert one.heard == other.heard == [GAP, *(b"%d" % number for number in range(20))]
        assert sorted(seconds)[10] < SOON


async def test_a_server_that_was_restarted(redis_url: str) -> None:
    with RedisServer() as server:
        async with Listener(server.url) as listener:
            server.stop()
            server.start()
            assert await listener.hears(GAP, GAP)
            server.ask("PUBLISH", CHANNEL, "after")
            assert await listener.hears(GAP, GAP, b"after")


async def test_a_connection_that_the_server_ended(redis_url: str, redis_server: RedisServer) -> None:
    async with Listener(redis_url) as listener:
        redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
        assert await listener.hears(GAP, GAP)


async def test_a_connection_whose_other_side_has_vanished(redis_server: RedisServer, between: Proxy) -> None:
    async with Listener(f"redis://127.0.0.1:{between.port}") as listener:
        await between.misbehave("half_open")
        redis_server.ask("PUBLISH", CHANNEL, "lost")
        await between.misbehave(None)
        assert await listener.hears(GAP, GAP)
        redis_server.ask("PUBLISH", CHANNEL, "after")
        assert await listener.hears(GAP, GAP, b"after")


async def test_a_server_that_hangs(redis_url: str, redis_server: RedisServer, soon: None) -> None:
    async with Listener(redis_url) as listener:
        with redis_server.hung():
            await until(lambda: listener.given_up, within=NOTICED_WITHIN)
        assert await listener.hears(GAP, GAP)


async def test_a_quiet_channel_is_no_gap(redis_url: str, redis_server: RedisServer, soon: None) -> None:
    async with Listener(redis_url) as listener:
        redis_server.ask("CONFIG", "RESETSTAT")
        await until(lambda: redis_server.ask("INFO", "commandstats").get("cmdstat_ping"))
        redis_server.ask("PUBLISH", CHANNEL, "at last")
        assert await listener.hears(GAP, b"at last")


async def test_a_message_that_the_listener_cannot_bear_is_a_gap(redis_url: str, redis_server: RedisServer) -> None:
    async with Listener(redis_url) as listener:
        with capture_logs() as lines:
            redis_server.ask("PUBLISH", CHANNEL, UNBEARABLE)
            assert await listener.hears(GAP, GAP)
        assert [line["event"] for line in lines] == ["subscription failed unexpectedly"]


async def test_a_channel_that_the_user_may_not_hear_is_told_once() -> None:
    def refusals() -> int:
        return server.ask("INFO", "commandstats").get("cmdstat_subscribe", {"rejected_calls": 0})["rejected_calls"]

    with RedisServer(user="deaf on >s3cr3t ~* +@all resetchannels") as server, capture_logs() as lines:
        listener = Listener(server.url.replace("//", "//deaf:s3cr3t@"))
        await listener.redis.open()
        await until(lambda: refusals() > 1)
        assert listener.heard == []
        server.ask("ACL", "SETUSER", "deaf", "allchannels")
        await until(lambda: listener.heard == [GAP])
        await listener.redis.close()
    assert [line["event"] for line in lines] == ["redis refuses the subscription"]

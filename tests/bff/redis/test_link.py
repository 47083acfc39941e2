"""What is asked of Redis is answered in time, or Redis is down: at once, for a moment, and at no more cost."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from structlog.testing import capture_logs

from bff.metrics import Metrics
from bff.redis import Redis, RedisDown, Script
from bff.redis.link import COMMAND_SECONDS
from tests.bff.redis.asking import GET, SET, Open, answers, failures, outcome
from tests.bff.redis.pretending import Pretender
from tests.faults.proxy import Fault, Proxy
from tests.faults.rig import until
from tests.redis_servers import RedisServer

Trouble = Callable[[RedisServer], AbstractContextManager[None]]

BACK_WITHIN = 5.0
PLENTY = 1.0  # for what takes the time of one command, on a machine that is busy


def gauge(metrics: Metrics) -> float:
    return metrics.redis_up._value.get()


def commands(server: RedisServer, name: str) -> int:
    """Return how often the server has carried out the command."""
    return server.ask("INFO", "commandstats").get(f"cmdstat_{name}", {"calls": 0})["calls"]


REPLIES = {
    "bytes": ("return ARGV[1]", b"arg"),
    "int": ("return 7", 7),
    "list": ("return {KEYS[1], {1, 'two'}}", [b"key", [1, b"two"]]),
    "nothing": ("return false", None),
    "ok": ("return redis.call('SET', KEYS[1], ARGV[1])", b"OK"),
}


class TestAnAnswer:
    @pytest.mark.parametrize("kind", REPLIES)
    async def test_is_what_the_script_returns(self, kind: str, redis_url: str, opened: Open) -> None:
        text, reply = REPLIES[kind]
        redis = await opened(redis_url)
        assert [await outcome(redis, Script(text)) for _ in range(2)] == [reply, reply]

    @pytest.mark.parametrize("arg", [b"\0\r\n$5\r\n\xff", "\u00e4\n", 2**60, b"x" * 1_000_000, ""], ids=range(5))
    async def test_is_made_of_the_very_bytes_that_were_given(self, arg, redis_url: str, opened: Open) -> None:
        redis = await opened(redis_url)
        assert await outcome(redis, SET, arg=arg) == b"OK"
        assert await outcome(redis, GET) == (arg if isinstance(arg, bytes) else str(arg).encode())

    async def test_needs_the_scripts_text_once(
        self, redis_url: str, redis_server: RedisServer, opened: Open
    ) -> None:
        redis = await opened(redis_url)
        redis_server.ask("CONFIG", "RESETSTAT")
        assert [await outcome(redis) for _ in range(5)] == [b"arg"] * 5
        assert (commands(redis_server, "eval"), commands(redis_server, "evalsha")) == (1, 5)

    async def test_comes_after_the_server_has_forgotten_the_script(
        self, redis_url: str, redis_server: RedisServer, opened: Open
    ) -> None:
        redis = await opened(redis_url)
        assert await answers(redis)
        redis_server.ask("SCRIPT", "FLUSH")
        assert await answers(redis)

    async def test_comes_though_the_loop_was_held_up(self, redis_url: str, opened: Open) -> None:
        redis = await opened(redis_url)
        assert await answers(redis)
        reply = asyncio.create_task(outcome(redis))
        await asyncio.sleep(0)
        time.sleep(2 * COMMAND_SECONDS)  # noqa: ASYNC251 - as a large answer's JSON might
        assert await reply == b"arg"


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    with server.config(maxmemory=1, maxmemory_policy="noeviction"):
        yield


@contextmanager
def read_only(server: RedisServer) -> Iterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", 1)
    try:
        yield
    finally:
        server.ask("REPLICAOF", "NO", "ONE")


class TestAServerThatRefuses:
    @pytest.mark.parametrize("trouble", [full, read_only], ids=["full", "read-only"])
    async def test_is_left_alone_when_nothing_can_be_written(
        self, trouble: Trouble, redis_url: str, redis_server: RedisServer, opened: Open, metrics: Metrics
    ) -> None:
        redis = await opened(redis_url)
        with trouble(redis_server):
            assert await outcome(redis, SET) == "refused"
            assert not redis.is_up
        await until(lambda: redis.is_up)
        assert await outcome(redis, SET) == b"OK"
        assert failures(metrics, "refused") == 1

    @pytest.mark.parametrize("text", ["return redis.call('NOPE')", "no Lua", "return redis.error_reply('no')"])
    async def test_a_script_of_no_use(self, text: str, redis_url: str, opened: Open) -> None:
        redis = await opened(redis_url)
        assert await outcome(redis, Script(text)) == "refused"
        assert await answers(redis)

    async def test_a_command_the_user_may_not_use(self, opened: Open) -> None:
        with RedisServer(user="some on >s3cr3t +ping +select") as server:
            redis = await opened(server.url.replace("//", "//some:s3cr3t@"))
            assert await outcome(redis) == "refused"
            assert redis.is_up


FAULTS: list[Fault] = ["half_open", "refuse", "truncation"]


NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b":\r\n",
    b"$-7\r\n",
    b"*99999999999\r\n",
    b"$1000000\r\nless",
    b"-MOVED\r\n",
    b"-MOVED x y\r\n",
]


class TestAServerInTrouble:
    """What lies between may lose everything, end connections and refuse new ones, or cut a reply short."""

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_is_down_after_the_first_failure_and_back_in_time(
        self, fault: Fault, redis_url: str, between: Proxy, opened: Open, metrics: Metrics
    ) -> None:
        redis = await opened(f"redis://127.0.0.1:{between.port}/0")
        assert await answers(redis)
        with capture_logs() as lines:
            await between.misbehave(fault, after=3)
            started = time.monotonic()
            assert await outcome(redis) in {"timeout", "connection"}
            assert time.monotonic() - started < PLENTY
            assert (redis.is_up, gauge(metrics)) == (False, 0)
            started = time.monotonic()
            assert [await outcome(redis) for _ in range(1000)] == ["down"] * 1000
            assert time.monotonic() - started < PLENTY
            await between.misbehave(None)
            await until(lambda: redis.is_up, within=BACK_WITHIN)
        assert (await outcome(redis), gauge(metrics)) == (b"arg", 1)
        assert [line["event"] for line in lines] == ["redis lost", "redis is back"]
        assert failures(metrics, "down") == 1000

    async def test_costs_everybody_who_waits_the_time_of_one_command(
        self, redis_url: str, redis_server: RedisServer, opened: Open
    ) -> None:
        redis = await opened(redis_url)
        with redis_server.hung():
            started = time.monotonic()
            reasons = await asyncio.gather(*(outcome(redis) for _ in range(100)))
            assert COMMAND_SECONDS <= time.monotonic() - started < PLENTY
        assert set(reasons) == {"timeout"}

    async def test_that_was_restarted_has_nothing_and_answers(self, opened: Open) -> None:
        with RedisServer() as server:
            redis = await opened(server.url)
            assert await outcome(redis, SET) == b"OK"
            server.stop()
            server.start()
            assert await outcome(redis, GET) == "connection"
            await until(lambda: redis.is_up, within=BACK_WITHIN)
            assert await outcome(redis, GET) is None

    @pytest.mark.parametrize("end", ["hang", "refuse"])
    async def test_is_down_before_anybody_asks(self, end: Fault, between: Proxy, opened: Open) -> None:
        redis = await opened(f"redis://127.0.0.1:{between.port}/0")
        await between.misbehave(end)
        await until(lambda: not redis.is_up)
        await between.misbehave(None)
        await until(lambda: redis.is_up, within=BACK_WITHIN)
        assert await answers(redis)

    async def test_is_not_up_when_it_is_slow(self, between: Proxy, metrics: Metrics) -> None:
        await between.misbehave("latency", seconds=0.05)
        redis = Redis(f"redis://127.0.0.1:{between.port}/0", metrics)
        started = time.monotonic()
        await redis.open()
        assert time.monotonic() - started < 0.25 + PLENTY
        assert await outcome(redis) == "down"
        await between.misbehave("latency", seconds=0.005)
        await until(lambda: redis.is_up, within=BACK_WITHIN)
        assert await answers(redis)
        await redis.close()

    @pytest.mark.parametrize("credentials", ["", ":wrong@", "no:one@"])
    async def test_that_wants_another_password_is_down(self, credentials: str, metrics: Metrics) -> None:
        with RedisServer(requirepass="s3cr3t") as server, capture_logs() as lines:
            redis = Redis(server.url.replace("//", f"//{credentials}"), metrics)
            await redis.open()
            assert await outcome(redis) == "down"
            await redis.close()
        assert [line["event"] for line in lines] == ["redis lost"]

    async def test_that_knows_the_password_answers(self, opened: Open) -> None:
        with RedisServer(requirepass="s3cr3t") as server:
            redis = await opened(server.url.replace("//", "//:s3cr3t@"))
            assert await answers(redis)

    @pytest.mark.parametrize(("to", "said"), [*zip(["auth", "ping", "auth", "ping"], NONSENSE[::2], strict=True)])
    async def test_that_is_none_until_it_is(self, to: str, said: bytes, soon: None, opened: Open) -> None:
        async with Pretender(**{to: said}).listening() as pretender:
            redis = await opened(pretender.url, up=False)
            assert await outcome(redis) == "down"
            pretender.auth, pretender.ping = b"+OK\r\n", b"+PONG\r\n"
            await until(lambda: redis.is_up)

    @pytest.mark.parametrize("said", NONSENSE)
    async def test_that_makes_no_sense_any_more(self, said: bytes, opened: Open) -> None:
        async with Pretender(said).listening() as pretender:
            redis = await opened(pretender.url)
            assert await outcome(redis) in {"connection", "timeout"}
            assert not redis.is_up


@pytest.mark.usefixtures("soon")
class TestAHook:
    async def test_asks_redis_before_anybody_else_does(self, redis_url: str, metrics: Metrics) -> None:
        redis = Redis(redis_url, metrics)
        seen: list[object] = []

        async def hook() -> None:
            elsewhere = asyncio.get_running_loop().create_task(outcome(redis), context=contextvars.Context())
            seen.extend([redis.is_up, await elsewhere, *await asyncio.gather(outcome(redis), outcome(redis))])

        redis.when_up(hook)
        await redis.open()
        await until(lambda: redis.is_up)
        assert seen == [False, "down", b"arg", b"arg"]
        assert await answers(redis)
        await redis.close()

    async def test_is_awaited_after_every_connection(
        self, redis_url: str, between: Proxy, metrics: Metrics
    ) -> None:
        redis = Redis(f"redis://127.0.0.1:{between.port}/0", metrics)
        seen: list[str] = []

        async def first() -> None:
            seen.append("first")

        async def second() -> None:
            seen.append("second")

        redis.when_up(first)
        redis.when_up(second)
        await redis.open()
        await until(lambda: redis.is_up)
        await between.misbehave("reset")
        assert not await answers(redis)
        await between.misbehave(None)
        await until(lambda: redis.is_up)
        assert seen == ["first", "second"] * 2
        await redis.close()

    async def test_that_fails_leaves_redis_down(self, redis_url: str, metrics: Metrics) -> None:
        redis = Redis(redis_url, metrics)
        results: list[Exception | None] = [RedisDown("refused"), KeyError("a bug"), None]

        async def hook() -> None:
            assert not redis.is_up
            if error := results.pop(0):
                raise error

        redis.when_up(hook)
        with capture_logs() as lines:
            await redis.open()
            await until(lambda: redis.is_up)
        assert results == []
        assert [line["event"] for line in lines if line["log_level"] != "error"] == ["redis lost", "redis is back"]
        await redis.close()


async def test_it_can_be_closed_in_the_midst_of_it_all(redis_url: str, redis_server: RedisServer, metrics) -> None:
    redis = Redis(redis_url, metrics)
    await redis.open()
    await until(lambda: redis.is_up)
    with redis_server.hung():
        waiting = asyncio.create_task(outcome(redis))
        await asyncio.sleep(0)
        await redis.close()
        assert await waiting == "timeout"
    assert await outcome(redis) == "down"


async def test_it_connects_without_asking_for_more_than_an_answer(
    redis_url: str, redis_server: RedisServer, opened: Open
) -> None:
    redis_server.ask("CONFIG", "RESETSTAT")
    await opened(redis_url)
    told = {name.partition("|")[0] for name in redis_server.ask("INFO", "commandstats")}
    assert told == {"cmdstat_config", "cmdstat_ping"}


async def test_it_connects_nothing_before_it_is_opened(redis_url: str, metrics: Metrics) -> None:
    redis = Redis(redis_url, metrics)
    assert (redis.is_up, await outcome(redis)) == (False, "down")
    await redis.close()

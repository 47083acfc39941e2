"""So many requests in any span of so many seconds, at whichever replica; and when Redis cannot count."""

import asyncio
import time
from collections.abc import Iterable

import pytest
from structlog.testing import capture_logs

from bff import sharing
from bff.cache.keys import limit_key
from bff.limits import Limit, Verdict
from tests.bff.shared.replica import TROUBLES, Replica
from tests.faults.rig import until
from tests.redis_servers import RedisServer

CHAT = Limit("chat", requests=3, seconds=60)
KEY = limit_key("bff", "chat", "ada")

Replicas = tuple[Replica, Replica]


async def allowed(replica: Replica, count: int, who: str = "ada", limit: Limit = CHAT) -> list[bool]:
    return [(await replica.limits.take(limit, who)).allowed for _ in range(count)]


def told(verdict: Verdict) -> tuple[bool, int, int]:
    return verdict.allowed, verdict.remaining, verdict.reset_seconds


def taken(server: RedisServer, ages: Iterable[float]) -> None:
    """Have one request be counted for each age, in seconds."""
    seconds, microseconds = (int(part) for part in server.ask("TIME"))
    for age in ages:
        server.ask("RPUSH", KEY, seconds * 1_000_000 + microseconds - int(age * 1_000_000))


async def test_a_crowd_at_two_replicas_gets_as_many_as_at_one(replicas: Replicas) -> None:
    limit = Limit("chat", requests=20, seconds=60)
    verdicts = await asyncio.gather(*(each.limits.take(limit, "ada") for _ in range(50) for each in replicas))

    assert sorted(each.remaining for each in verdicts if each.allowed) == list(range(20))
    assert {each.remaining for each in verdicts if not each.allowed} == {0}


async def test_each_tells_what_is_left_of_all(replicas: Replicas) -> None:
    one, other = replicas
    verdicts = [await each.limits.take(CHAT, "ada") for each in (one, other, other, one, other)]

    assert [(each.allowed, each.remaining) for each in verdicts] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert verdicts[3].headers() == [
        (b"ratelimit", b'"chat";r=0;t=60'),
        (b"ratelimit-policy", b'"chat";q=3;w=60'),
    ]


@pytest.mark.parametrize(
    ("ages", "verdict"),
    [
        ([], (True, 2, 60)),
        ([10.1], (True, 1, 50)),
        ([20.1, 10.1], (True, 0, 40)),
        ([30.1, 20.1, 10.1], (False, 0, 30)),
        ([59.1, 20.1, 10.1], (False, 0, 1)),
        ([60, 20.1, 10.1], (True, 0, 40)),
        ([60.1, 60.1, 60], (True, 2, 60)),
        ([3600, 60, 30.1, 20.1, 10.1], (False, 0, 30)),
        ([40.1, 30.1, 20.1, 10.1], (False, 0, 20)),  # a replica has a higher limit
        ([-30, -30, -30], (False, 0, 60)),  # the clock was set back: for no longer than a window
        ([-90, -90, 10.1], (True, 1, 50)),
    ],
    ids=str,
)
async def test_what_still_counts(
    ages: list[float], verdict: tuple[bool, int, int], replicas: Replicas, redis_server: RedisServer
) -> None:
    taken(redis_server, ages)
    assert told(await replicas[0].limits.take(CHAT, "ada")) == verdict


async def test_the_next_is_taken_when_the_first_no_longer_counts_and_not_before(replicas: Replicas) -> None:
    limit = Limit("chat", requests=2, seconds=1)
    started = time.time()
    assert await allowed(replicas[0], 2, limit=limit) == [True, True]
    assert told(await replicas[1].limits.take(limit, "ada")) == (False, 0, 1)

    await until(lambda: _is_allowed(replicas[1], limit))
    assert time.time() - started >= 1


async def _is_allowed(replica: Replica, limit: Limit) -> bool:
    return (await replica.limits.take(limit, "ada")).allowed


async def test_users_and_limits_are_counted_apart(replicas: Replicas) -> None:
    one, other = replicas
    provision = Limit("provision", requests=1, seconds=60)
    assert await allowed(one, 4) == [True, True, True, False]
    assert await allowed(other, 1, who="bob") == [True]
    assert await allowed(other, 2, limit=provision) == [True, False]


async def test_it_is_forgotten_with_the_window(replicas: Replicas, redis_server: RedisServer) -> None:
    await allowed(replicas[0], 3)
    assert 59_000 < redis_server.ask("PTTL", KEY) <= 60_000
    redis_server.ask("PEXPIRE", KEY, 10_000)
    await allowed(replicas[0], 1)  # refused: does not count
    assert redis_server.ask("PTTL", KEY) <= 10_000


async def test_nobody_can_be_read_from_redis(replicas: Replicas, redis_server: RedisServer) -> None:
    await allowed(replicas[0], 1, who="203.0.113.7")
    [key] = redis_server.ask("KEYS", "*")
    assert b"203" not in key
    assert key.startswith(b"bff:{")
    assert key.endswith(b"}:q")


class TestInTrouble:
    """The first of the limit's three requests comes before; the rest at one replica, which counted it too."""

    @pytest.mark.parametrize("trouble", TROUBLES)
    async def test_each_replica_goes_on_from_its_own_share_then_they_count_together_again(
        self, trouble: str, replicas: Replicas, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sharing, "_CALM_SECONDS", 0)
        one, other = replicas
        assert await allowed(one, 1) == [True]
        with capture_logs() as lines:
            with TROUBLES[trouble](redis_server):
                assert await allowed(one, 3) == [True, True, False]
                assert await allowed(other, 4) == [True, True, True, False]
                assert (one.fallbacks("limits"), other.fallbacks("limits")) == (3, 4)
            await one.shares()
            await other.shares()
            verdicts = [await each.limits.take(CHAT, "bob") for each in (one, other) * 2]

        assert [each.allowed for each in verdicts] == [True, True, True, False]
        assert (one.fallbacks("limits"), other.fallbacks("limits")) == (3, 4)
        said = [(line["event"], line["log_level"]) for line in lines if line.get("feature") == "limits"]
        assert said == [("process memory decides", "warning")] * 2 + [("redis decides again", "info")] * 2

    async def test_what_was_taken_before_still_counts_after_it_hung(
        self, replicas: Replicas, redis_server: RedisServer
    ) -> None:
        one, other = replicas
        assert await allowed(other, 2) == [True, True]
        with TROUBLES["hung"](redis_server):
            await allowed(one, 1, who="bob")
        await one.shares()
        assert await allowed(one, 2) == [True, False]

    async def test_redis_that_refuses_is_left_alone_and_logged_once(
        self, replicas: Replicas, redis_server: RedisServer
    ) -> None:
        one, _ = replicas
        await allowed(one, 3)
        with capture_logs() as lines, TROUBLES["full"](redis_server):
            for n in range(5):
                assert await allowed(one, 1) == [False]  # first by Redis, which has nothing to write
                assert await allowed(one, 1, who=f"user {n}") == [True]
        assert one.fallbacks("limits") == 9
        assert [line["event"] for line in lines] == ["redis lost", "process memory decides"]

"""What a write ends, other replicas hear of, and what becomes of it while Redis is not there."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from bff.cache.generations import Owner
from bff.cache.invalidation import Invalidations
from bff.cache.keys import generations_key
from bff.metrics import Metrics
from bff.redis import Redis, link
from tests.faults.rig import until
from tests.redis_servers import RedisServer

ADA, BOB = ("ada",), ("bob",)


class Copies:
    """The first tier of one replica."""

    def __init__(self) -> None:
        self.heard: list[tuple[Owner, list[str]]] = []
        self.drops = 0

    def outdated(self, plans: Sequence[str], owner: Owner) -> None:
        self.heard.append((owner, list(plans)))

    def drop(self) -> None:
        self.drops += 1


class Replica:
    def __init__(self, url: str) -> None:
        self.copies = Copies()
        self.redis = Redis(url, Metrics())
        self.invalidations = Invalidations(self.redis, "bff", self.copies, Metrics(), 3600)


@pytest.fixture
async def replicas(redis_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    one, other = Replica(redis_url), Replica(redis_url)
    yield one, other
    await one.redis.close()
    await other.redis.close()


def keep_generations(server: RedisServer, owner: Owner) -> None:
    for plan in ("data", "stats"):
        server.ask("HSET", generations_key("bff", owner), plan, "0123456789abcdef")


def generations(server: RedisServer, owner: Owner) -> set[bytes]:
    return set(server.ask("HKEYS", generations_key("bff", owner)))


async def test_a_write_ends_what_it_changes_of_its_user_alone(
    replicas: tuple[Replica, Replica], redis_server: RedisServer
) -> None:
    one, other = replicas
    await one.redis.open()
    await other.redis.open()
    await until(lambda: one.copies.drops and other.copies.drops)
    for owner in (ADA, BOB):
        keep_generations(redis_server, owner)
    await one.invalidations.tell(ADA, ("data",))

    assert (generations(redis_server, ADA), generations(redis_server, BOB)) == ({b"stats"}, {b"data", b"stats"})
    await until(lambda: other.copies.heard == [(ADA, ["data"])])
    assert one.copies.heard == []  # it knew before


async def test_what_is_no_message_of_ours_costs_all_copies(
    replicas: tuple[Replica, Replica], redis_server: RedisServer
) -> None:
    one, _ = replicas
    await one.redis.open()
    await until(lambda: one.copies.drops == 1)
    redis_server.ask("PUBLISH", "bff:changed", b"\xc1 of another version")
    await until(lambda: one.copies.drops == 2)


async def test_a_write_without_redis_is_told_when_it_is_there(
    replicas: tuple[Replica, Replica], redis_server: RedisServer
) -> None:
    one, other = replicas
    await other.redis.open()
    await until(lambda: other.copies.drops)
    keep_generations(redis_server, ADA)
    await one.invalidations.tell(ADA, ("data",))
    assert generations(redis_server, ADA) == {b"data", b"stats"}

    await one.redis.open()
    await until(lambda: one.redis.is_up)
    assert generations(redis_server, ADA) == {b"stats"}
    await until(lambda: other.copies.heard == [(ADA, ["data"])])


async def test_a_write_while_others_are_told_again_is_told_too(
    replicas: tuple[Replica, Replica], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = replicas
    keep_generations(redis_server, BOB)
    await one.invalidations.tell(ADA, ("data",))
    telling, go_on = asyncio.Event(), asyncio.Event()
    end = one.invalidations._end

    async def held_up(owner: Owner, plans: tuple[str, ...]) -> None:
        if owner == ADA:
            telling.set()
            await go_on.wait()
        await end(owner, plans)

    monkeypatch.setattr(one.invalidations, "_end", held_up)
    await one.redis.open()
    await telling.wait()
    await one.invalidations.tell(BOB, ("data",))
    go_on.set()
    await until(lambda: one.redis.is_up)
    assert generations(redis_server, BOB) == {b"stats"}


async def test_what_redis_forgot_is_told_again(
    replicas: tuple[Replica, Replica], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_AGAIN_AFTER", (2.0, 2.0))  # the server is back, with its old data, before that
    one, _ = replicas
    await one.redis.open()
    await one.invalidations.tell(ADA, ("data",))
    redis_server.stop()
    await until(lambda: not one.redis.is_up)
    redis_server.start()
    keep_generations(redis_server, ADA)  # as a copy on disk of before the write would
    await until(lambda: one.redis.is_up)
    assert generations(redis_server, ADA) == {b"stats"}

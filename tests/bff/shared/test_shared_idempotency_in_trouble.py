"""Idempotency keys at two replicas when Redis is gone, hung, full, read-only, or has forgotten."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from bff import claims
from bff.claims import KeyReused
from tests.bff.shared.replica import LONGEST, TROUBLES, Replica, gone
from tests.bff.shared.work import Work, name_of, refused
from tests.faults.rig import until
from tests.redis_servers import RedisServer


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_each_replica_decides_by_itself_then_all_together_again(
    trouble: str, work: Work, redis_server: RedisServer, soon: None
) -> None:
    one, other = work.one, work.other
    await work.ask(one, key="before")
    with capture_logs() as lines:
        with TROUBLES[trouble](redis_server):
            assert await asyncio.gather(*(work.ask(one) for _ in range(5))) == [(2, False), *[(2, True)] * 4]
            assert await work.ask(one) == (2, True)
            assert await refused(work.ask(one, body=b"other"), KeyReused)
            assert await work.ask(other) == (3, False)
            assert one.fallbacks("idempotency") >= 1
            assert other.fallbacks("idempotency") >= 1
        await one.shares()
        await other.shares()
        assert await work.ask(one, key="after") == (4, False)
        assert await work.ask(other, key="after") == (4, True)

    said = [(line["event"], line["log_level"]) for line in lines if line.get("feature") == "idempotency"]
    assert said == [("process memory decides", "warning")] * 2 + [("redis decides again", "info")] * 2


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_an_answer_that_redis_could_not_take_is_told_when_it_can(
    trouble: str, work: Work, redis_server: RedisServer, soon: None
) -> None:
    asking = await work.under_way(work.one)
    with TROUBLES[trouble](redis_server):
        work.release()
        assert await asking == (1, False)
        assert await work.ask(work.one) == (1, True)
        assert work.one.fallbacks("idempotency") == 1
    await until(lambda: not work.one.repeats._claims._behind)
    async with Replica(redis_server.url) as newcomer:
        assert await work.ask(newcomer) == (1, True)
    assert work.started == 1


@pytest.mark.parametrize("trouble", ["gone", "hung"])
async def test_who_has_seen_another_replicas_claim_does_nothing_while_it_lasts(
    trouble: str, work: Work, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = await work.under_way(work.one)
    waiting = await work.waiting(work.other)
    with TROUBLES[trouble](redis_server):
        monkeypatch.setattr(claims, "_PATIENCE_SECONDS", 0)
        await until(lambda: not work.other.redis.is_up)
        waiting.cancel()
        assert await refused(waiting, asyncio.CancelledError)
        await work.other.repeats._flights.close()
        assert await refused(work.ask(work.other))
        assert await refused(work.ask(work.other, body=b"other"), KeyReused)
        assert work.other.fallbacks("idempotency") >= 2
    work.release()
    await asking
    assert work.started == 1


@pytest.mark.parametrize("begun", ["before", "meanwhile"])
async def test_a_redis_that_restarted_empty_is_told_what_is_under_way(
    begun: str, work: Work, redis_server: RedisServer, soon: None
) -> None:
    if begun == "before":
        asking = await work.under_way(work.one)
    with gone(redis_server):
        if begun == "meanwhile":
            asking = await work.under_way(work.one)
    await until(lambda: redis_server.ask("EXISTS", name_of("k")), within=5)
    assert 0 < redis_server.ask("PTTL", name_of("k")) < LONGEST * 1000
    async with Replica(redis_server.url) as newcomer:
        waiting = await work.waiting(newcomer)
        work.release()
        assert await asyncio.gather(asking, waiting) == [(1, False), (1, True)]


async def test_who_waits_for_a_claim_that_redis_forgot_does_not_take_it_over(
    work: Work, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_AGAIN_SECONDS", (100, 100))
    asking = await work.under_way(work.one)
    waiting = await work.waiting(work.other)
    claim = redis_server.ask("GET", name_of("k"))
    redis_server.ask("FLUSHALL")
    await until(lambda: redis_server.ask("GET", name_of("k")) == claim)
    work.release()
    assert await asyncio.gather(asking, waiting) == [(1, False), (1, True)]


async def test_who_waits_when_redis_goes_waits_on(work: Work, redis_server: RedisServer, soon: None) -> None:
    asking = await work.under_way(work.one)
    waiting = await work.waiting(work.other)
    with gone(redis_server):
        await until(lambda: work.other.fallbacks("idempotency"))
        work.release()
        assert await asking == (1, False)
    assert await waiting == (1, True)
    assert work.other.fallbacks("idempotency") == 1


async def test_a_full_redis_still_tells_answers(work: Work, redis_server: RedisServer) -> None:
    await work.ask(work.one)
    with TROUBLES["full"](redis_server):
        assert await work.ask(work.other) == (1, True)
    assert work.other.fallbacks("idempotency") == 0


async def test_a_claim_that_redis_brings_back_holds_until_it_lapses(work: Work, redis_server: RedisServer) -> None:
    asking = await work.under_way(work.one)
    claim = redis_server.ask("GET", name_of("k"))
    work.release()
    await asking
    brought_back = time.monotonic()
    redis_server.ask("SET", name_of("k"), claim, "PX", 500)
    assert await work.ask(work.other) == (2, False)
    assert time.monotonic() - brought_back >= 0.5
    assert await work.ask(work.one) == (1, True)


async def test_letting_go_late_leaves_the_next_try_its_claim(work: Work, redis_server: RedisServer) -> None:
    first = await work.under_way(work.one, keep=False)
    with redis_server.hung():
        work.release()
        assert await first == (1, False)  # and Redis could not be told
        second = await work.under_way(work.one)
    await work.one.shares()
    await until(lambda: not work.one.repeats._claims._behind)
    third = await work.waiting(work.other)
    work.release()
    assert await asyncio.gather(second, third) == [(2, False), (2, True)]

"""Promises about replicas that share a Redis (architecture.md): 3, 4 and 9, and what a write changes elsewhere."""

import asyncio
import base64
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from demo.faults import Faults
from demo.people import PEOPLE
from tests.faults.proxy import proxy
from tests.faults.questions import BOB, READS, WRITES
from tests.faults.rig import Answer, Rig, replicas, until
from tests.redis_servers import RedisServer

BY_NAME = {operation.name: operation for operation in (*READS, *WRITES)}
COST, DATA, STATS, ANALYTICS = (BY_NAME[f"dashboard.{name}"] for name in ("cost", "data", "stats", "analytics"))
WRITE = BY_NAME["agent.update-skill"]
KEPT = [plan for plan in READS if plan.keep.fresh and plan.name.startswith("dashboard.")]
KEY = base64.b64encode(os.urandom(32)).decode()

# What a request may take longer when Redis is in trouble.
PROMISED = 0.1


def sharing(redis_url: str, **more: Any) -> dict[str, Any]:
    return {"cache": {"redis_url": redis_url}, "auth": {"encryption_key": KEY}} | more


@asynccontextmanager
async def two(store: str, redis_url: str, **more: Any) -> AsyncIterator[list[Rig]]:
    async with replicas(store, [sharing(redis_url, **more)] * 2) as both:
        await until(lambda: all(each.gateway.redis.is_up for each in both))
        yield both


def heard_elsewhere(rig: Rig) -> float:
    """Return how many writes at other replicas this one has heard of."""
    return rig.gateway.metrics.invalidations.labels("elsewhere")._value.get()


def lose_a_skill(store: str) -> None:
    """Let the store hold one skill less of Bob's than the gateways know of."""
    with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as database, database:
        database.execute(
            'DELETE FROM "InstalledSkill" WHERE id = (SELECT id FROM "InstalledSkill" WHERE "userId" = ? LIMIT 1)',
            (BOB.id,),
        )


def drops(rig: Rig) -> float:
    """Return how often the replica has dropped all its copies."""
    return rig.gateway.metrics.first_tier_drops._value.get()


def skills(analytics: Answer) -> int:
    count: int = analytics.body["overview"]["installedSkills"]
    return count


def state(answer: Answer) -> str:
    return answer.headers["cache-status"].removeprefix("bff; ").split("; ttl")[0]


async def test_4_cold_requests_at_two_replicas_cost_one_fan_out(sqlite_url: str, redis_url: str) -> None:
    async with two(sqlite_url, redis_url) as (one, other):
        asked = one.count("metrics", "/api/metrics/cost")
        await one.misbehave("metrics", Faults(latency=0.2))
        answers = await asyncio.gather(*(each.ask(COST, anew=False) for each in (one, other) for _ in range(200)))

        assert asked() == 1
        assert all(answer.is_complete for answer in answers)
        assert {answer.content for answer in answers} == {answers[0].content}


@pytest.mark.parametrize("plan", KEPT, ids=lambda plan: plan.name)
async def test_what_one_replica_made_the_other_serves(plan: Any, sqlite_url: str, redis_url: str) -> None:
    async with two(sqlite_url, redis_url) as (one, other):
        first = await one.ask(plan, anew=False)
        heard = one.heard()

        async def shared() -> Answer | None:
            answer = await other.ask(plan, anew=False)
            return answer if state(answer) == "hit" else None

        second = await until(shared)
        assert second.lasting == first.lasting
        assert second.headers.get("etag") == first.headers.get("etag")
        assert one.heard() == heard


async def test_4_when_the_leader_dies_the_others_ask_themselves(sqlite_url: str, redis_url: str) -> None:
    async with two(sqlite_url, redis_url) as (one, other):
        await one.misbehave("metrics", Faults(hang=True))
        lost = asyncio.create_task(one.ask(COST, anew=False))
        await until(lambda: sum(one.heard("metrics").values()))
        await one.misbehave("metrics", None)
        await one.gateway._answers.close()

        answer = await other.ask(COST, anew=False)
        assert answer.is_complete
        assert answer.seconds < COST.deadline
        with pytest.raises(asyncio.CancelledError):
            await lost


async def test_9_no_secret_is_in_redis_but_sealed(
    sqlite_url: str, redis_url: str, redis_server: RedisServer
) -> None:
    async with two(sqlite_url, redis_url) as (one, _):
        data = await one.ask(DATA, anew=False)
        token = data.body["gatewayToken"]
        assert token
        held = await until(lambda: _everything(redis_server, at_least=2))

        assert all(token.encode() not in value for value in held.values())
        assert all(BOB.id.encode() not in key for key in held)
        assert all(BOB.session_token.encode() not in key + value for key, value in held.items())


async def test_9_without_an_encryption_key_secrets_stay_in_the_process(
    sqlite_url: str, redis_url: str, redis_server: RedisServer
) -> None:
    settings = {"cache": {"redis_url": redis_url}, "auth": {"encryption_key": None}}
    async with replicas(sqlite_url, [settings]) as (one,):
        await one.ask(DATA, anew=False)
        await one.ask(STATS, anew=False)
        held = await until(lambda: _everything(redis_server, at_least=2))

        assert not [value for value in held.values() if b"gatewayToken" in value]
        assert state(await one.ask(DATA, anew=False)) == "hit"


def _everything(server: RedisServer, at_least: int) -> dict[bytes, bytes] | None:
    """Return the texts that Redis holds by key, None while there are fewer keys than that."""
    keys = server.ask("KEYS", "*")
    texts = {key: server.ask("GET", key) for key in keys if server.ask("TYPE", key) == b"string"}
    return texts if len(keys) >= at_least else None


class TestWrites:
    async def test_reach_the_other_replica_in_time(self, own_sqlite_url: str, redis_url: str) -> None:
        async with two(own_sqlite_url, redis_url) as (one, other):
            plans = [STATS, ANALYTICS]
            before = {plan.name: await other.ask(plan, anew=False) for plan in plans}
            assert [state(await other.ask(plan, anew=False)) for plan in plans] == ["hit", "hit"]

            lose_a_skill(own_sqlite_url)
            written = await one.ask(WRITE)
            assert written.status == 200
            told = time.monotonic()
            await until(lambda: heard_elsewhere(other))
            assert time.monotonic() - told < 0.1

            for plan in plans:
                answer = await other.ask(plan, anew=False)
                assert state(answer) == "fwd=miss; stored"
                assert answer.content != before[plan.name].content

    async def test_leave_others_answers_alone(self, own_sqlite_url: str, redis_url: str) -> None:
        carol = next(person for person in PEOPLE if person.name == "Carol").session_token
        async with two(own_sqlite_url, redis_url) as (one, other):
            await other.ask(STATS, who=carol, anew=False)
            await one.ask(WRITE)
            await until(lambda: heard_elsewhere(other))
            assert state(await other.ask(STATS, who=carol, anew=False)) == "hit"

    async def test_count_for_what_is_being_made_elsewhere(self, own_sqlite_url: str, redis_url: str) -> None:
        async with two(own_sqlite_url, redis_url) as (one, other):
            await one.misbehave("gateway", Faults(latency=0.3))
            slow = asyncio.create_task(other.ask(ANALYTICS, anew=False))
            await until(lambda: one.heard("gateway"))
            lose_a_skill(own_sqlite_url)
            written = await one.ask(WRITE)
            assert written.status == 200
            outdated = await slow
            for each in (one, other):
                now = await each.ask(ANALYTICS, anew=False)
                assert skills(now) == skills(outdated) - 1

    async def test_that_redis_missed_are_told_when_it_is_back(
        self, own_sqlite_url: str, redis_url: str, redis_server: RedisServer
    ) -> None:
        async with two(own_sqlite_url, redis_url) as (one, other):
            before = await other.ask(ANALYTICS, anew=False)
            with redis_server.hung():
                lose_a_skill(own_sqlite_url)
                written = await one.ask(WRITE)
                assert written.status == 200
            await until(lambda: heard_elsewhere(other))
            assert skills(await other.ask(ANALYTICS, anew=False)) == skills(before) - 1

    async def test_that_a_replica_missed_cost_it_all_its_copies(
        self, own_sqlite_url: str, redis_url: str, redis_server: RedisServer
    ) -> None:
        async with proxy(redis_server.port) as between:
            far = sharing(f"redis://127.0.0.1:{between.port}/0")
            async with replicas(own_sqlite_url, [sharing(redis_url), far]) as (one, other):
                await until(lambda: all(each.gateway.redis.is_up for each in (one, other)))
                before = await other.ask(ANALYTICS, anew=False)
                dropped = drops(other)
                await between.misbehave("refuse")
                lose_a_skill(own_sqlite_url)
                assert (await one.ask(WRITE)).status == 200
                assert skills(await other.ask(ANALYTICS, anew=False)) == skills(before)  # nobody could tell it

                await between.misbehave(None)
                await until(lambda: drops(other) > dropped)
                assert skills(await other.ask(ANALYTICS, anew=False)) == skills(before) - 1

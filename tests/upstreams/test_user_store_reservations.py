"""Given who else reserves an agent at the same time, the user store lets as many have one as the plan does."""

import asyncio
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import pytest

from tests.conftest import OpenStore
from tests.stores import ABANDONED, NOW, Database, agent_row, naive, new_agent, reason_of, user_row, utc
from upstreams.failure import Reason
from upstreams.user_store import Account, NewAgent, UserStore, tables

PATIENT = {"pool_wait": 30, "statement_timeout": 30}


async def reserve(store: UserStore, agent: NewAgent, limit: int = 1) -> int | None:
    return await store.reserve_agent(agent, limit=limit, now=NOW, abandoned_before=ABANDONED)


async def reserve_all(store: UserStore, prefix: str, number: int, limit: int) -> list[int | None]:
    agents = [new_agent(f"{prefix}{n}", "ada") for n in range(number)]
    return await asyncio.gather(*(reserve(store, agent, limit) for agent in agents))


def reserve_in_a_process(url: str, prefix: str, number: int, limit: int) -> list[int | None]:
    async def run() -> list[int | None]:
        store = UserStore(url, pool_wait=30, statement_timeout=30)
        try:
            return await reserve_all(store, prefix, number, limit)
        finally:
            await store.close()

    return asyncio.run(run())


async def agents_of(database: Database, user_id: str = "ada") -> dict[str, str]:
    return {row["id"]: row["status"] for row in await database.rows(tables.agent) if row["userId"] == user_id}


class TestReserving:
    async def test_inserts_the_agent_as_provisioning(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        agent = NewAgent("new", "ada", "my-agent", "gpt-4", "pro", {"a": [1, None, "é \u2603 \U0001f600"]})

        moment = NOW + timedelta(microseconds=999_999)
        assert await store.reserve_agent(agent, limit=1, now=moment, abandoned_before=ABANDONED) is None

        at = naive(NOW + timedelta(milliseconds=999))
        assert await database.rows(tables.agent) == [
            {
                "id": "new",
                "userId": "ada",
                "name": "my-agent",
                "model": "gpt-4",
                "status": "provisioning",
                "websocketUrl": None,
                "config": {"a": [1, None, "é \u2603 \U0001f600"]},
                "createdAt": at,
                "updatedAt": at,
                "tier": "pro",
            }
        ]

    @pytest.mark.parametrize(("config", "kept"), [(None, None), ({}, {}), ({"a": {}}, {"a": {}})])
    @pytest.mark.parametrize("column", ["json", "jsonb"])
    async def test_suits_either_type_of_column(
        self, postgres: Database, open_store: OpenStore, column: str, config: Any, kept: Any
    ) -> None:
        await postgres.run(f'ALTER TABLE "Agent" ALTER COLUMN config TYPE {column} USING config::{column}')
        await postgres.add(tables.user, user_row("ada"))

        assert await reserve(open_store(postgres.url), new_agent("new", "ada", config=config)) is None

        assert (await postgres.rows(tables.agent))[0]["config"] == kept

    async def test_never_keeps_a_token_for_the_users_gateway(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        await database.add(tables.agent_registration, {"user_id": "ada", "gateway_token": "registered"})
        config = {"gatewayToken": "mine", "nested": {"gatewayToken": "mine"}}
        agent = new_agent("new", "ada", config=config)

        assert await reserve(store, agent) is None

        (kept,) = await database.rows(tables.agent)
        assert kept["config"] == {"nested": {"gatewayToken": "mine"}}
        assert await store.account("ada") == Account("ada", "ada@example.com", None, "registered")
        assert "mine" not in repr(agent)
        assert "gatewayToken" in config

    @pytest.mark.parametrize(
        ("statuses", "limit", "answer"),
        [
            ([], 1, None),
            ([], 0, 0),
            (["error"] * 5, 1, None),
            (["running"], 1, 1),
            (["stopped"], 1, 1),
            (["pending", "error"], 1, 1),
            (["provisioning"], 1, 1),
            (["running", "active"], 3, None),
            (["running", "active", "stopped"], 3, 3),
            (["running", "active", "stopped", "odd"], 3, 4),
            (["running"] * 998, 999, None),
        ],
    )
    async def test_counts_what_has_not_failed(
        self, database: Database, store: UserStore, statuses: list[str], limit: int, answer: int | None
    ) -> None:
        await database.add(tables.user, user_row("ada"), user_row("bob"))
        rows = [agent_row(f"a{n}", "ada", status=status, updatedAt=NOW) for n, status in enumerate(statuses)]
        await database.add(tables.agent, *rows, agent_row("bobs", "bob"))

        assert await reserve(store, new_agent("new", "ada"), limit) == answer

        assert ("new" in await agents_of(database)) == (answer is None)

    @pytest.mark.parametrize(
        ("touched", "answer", "status"),
        [(utc(2026, 4, 4, 11, 49, 59), None, "error"), (ABANDONED, 1, "provisioning"), (NOW, 1, "provisioning")],
    )
    async def test_gives_up_what_was_abandoned(
        self, database: Database, store: UserStore, touched: Any, answer: int | None, status: str
    ) -> None:
        await database.add(tables.user, user_row("ada"), user_row("bob"))
        row = {"status": "provisioning", "updatedAt": touched}
        await database.add(tables.agent, agent_row("old", "ada", **row), agent_row("bobs", "bob", **row))

        assert await reserve(store, new_agent("new", "ada")) == answer

        assert (await agents_of(database))["old"] == status
        assert await agents_of(database, "bob") == {"bobs": "provisioning"}

    async def test_is_not_for_a_user_who_is_missing(self, database: Database, store: UserStore) -> None:
        assert await reserve(store, new_agent("new", "ghost")) == 0

        assert await database.rows(tables.agent) == []


class TestAtOnce:
    @pytest.mark.parametrize("limit", [1, 3])
    async def test_fifty_get_as_many_as_the_limit(self, database: Database, store: UserStore, limit: int) -> None:
        await database.add(tables.user, user_row("ada"))

        answers = await reserve_all(store, "a", 50, limit)

        assert Counter(answers) == {None: limit, limit: 50 - limit}
        assert len(await agents_of(database)) == limit

    @pytest.mark.parametrize("limit", [1, 3])
    async def test_from_two_stores_they_get_no_more(
        self, database: Database, open_store: OpenStore, limit: int
    ) -> None:
        await database.add(tables.user, user_row("ada"))
        one, two = open_store(database.url, **PATIENT), open_store(database.url, **PATIENT)

        answers = await asyncio.gather(reserve_all(one, "a", 25, limit), reserve_all(two, "b", 25, limit))

        assert Counter(answers[0] + answers[1]) == {None: limit, limit: 50 - limit}
        assert len(await agents_of(database)) == limit

    async def test_from_two_processes_they_get_no_more(self, database: Database) -> None:
        await database.add(tables.user, user_row("ada"))
        loop = asyncio.get_running_loop()
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            answers = await asyncio.gather(
                *(
                    loop.run_in_executor(processes, reserve_in_a_process, database.url, prefix, 25, 3)
                    for prefix in ("a", "b")
                )
            )

        assert Counter(answers[0] + answers[1]) == {None: 3, 3: 47}
        assert len(await agents_of(database)) == 3

    async def test_many_users_get_their_own(self, database: Database, store: UserStore) -> None:
        users = [f"user-{number}" for number in range(20)]
        await database.add(tables.user, *map(user_row, users))

        answers = await asyncio.gather(
            *(reserve(store, new_agent(f"{user}-{n}", user)) for n in range(3) for user in users)
        )

        assert Counter(answers) == {None: 20, 1: 40}
        assert Counter(row["userId"] for row in await database.rows(tables.agent)) == Counter(users)

    async def test_one_user_never_takes_the_connections_of_others(
        self, postgres: Database, open_store: OpenStore
    ) -> None:
        await postgres.add(tables.user, user_row("ada"), user_row("bob"))
        store = open_store(postgres.url, **PATIENT, pool_size=2)
        async with postgres.holding("""SELECT id FROM "User" WHERE id = 'ada' FOR UPDATE"""):
            asked = asyncio.create_task(reserve_all(store, "a", 50, 3))
            await waits_for_a_lock(store)

            assert await reserve(store, new_agent("bobs", "bob")) is None
            assert not asked.done()

        assert Counter(await asked) == {None: 3, 3: 47}

    async def test_who_waits_too_long_is_told_so(self, postgres: Database, open_store: OpenStore) -> None:
        await postgres.add(tables.user, user_row("ada"))
        store = open_store(postgres.url, pool_wait=0.1, statement_timeout=0.2)
        async with postgres.holding("""SELECT id FROM "User" WHERE id = 'ada' FOR UPDATE"""):
            async with asyncio.timeout(2):
                agents = [new_agent(f"a{n}", "ada") for n in range(5)]
                reasons = await asyncio.gather(*(reason_of(reserve(store, agent)) for agent in agents))
            assert reasons[0] is Reason.TIMEOUT
            assert set(reasons) == {Reason.TIMEOUT, Reason.SATURATED}

        assert await agents_of(postgres) == {}
        assert await reserve(store, new_agent("new", "ada")) is None

    async def test_who_stops_waiting_leaves_the_turn_to_the_next(
        self, postgres: Database, open_store: OpenStore
    ) -> None:
        await postgres.add(tables.user, user_row("ada"))
        store = open_store(postgres.url, **PATIENT)
        async with postgres.holding("""SELECT id FROM "User" WHERE id = 'ada' FOR UPDATE"""):
            asked = [asyncio.create_task(reserve(store, new_agent(f"a{n}", "ada"))) for n in range(4)]
            await waits_for_a_lock(store)
            for task in asked[:3]:
                task.cancel()
            await asyncio.gather(*asked[:3], return_exceptions=True)

        assert await asked[3] is None
        assert await agents_of(postgres) == {"a3": "provisioning"}


async def waits_for_a_lock(store: UserStore) -> None:
    """Return when a statement does."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not (await store._database.pool.fetch(waiting, ()))[0][0]:
        pass

"""Given what befalls a write on its way, the user store keeps all of it or nothing, and goes on."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import OpenStore
from tests.stores import (
    ABANDONED,
    EVERY_METHOD,
    NOW,
    Database,
    agent_row,
    naive,
    new_agent,
    reason_of,
    user_row,
    utc,
)
from upstreams.failure import Reason
from upstreams.user_store import NewAgent, UserStore, tables

BEFALLS = {
    "killed": ("PERFORM pg_terminate_backend(pg_backend_pid())", Reason.RESET),
    "cancelled": ("PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(0)", Reason.TIMEOUT),
    "slow": ("PERFORM pg_sleep(9)", Reason.TIMEOUT),
    "refused": ("RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'", Reason.MALFORMED),
}
TRIGGER = 'TRIGGER befalls AFTER INSERT ON "Agent"'
MOMENTS = {
    "insert": f"CREATE {TRIGGER} FOR EACH ROW EXECUTE FUNCTION befall()",
    "commit": f"CREATE CONSTRAINT {TRIGGER} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION befall()",
}
WRITES = {
    name: EVERY_METHOD[name] for name in ("reserve_agent", "finish_agent", "set_skill", "put_credential", "agents")
}


async def reserve(store: UserStore, agent: NewAgent, limit: int = 1) -> int | None:
    return await store.reserve_agent(agent, limit=limit, now=NOW, abandoned_before=ABANDONED)


async def with_an_abandoned_agent(database: Database) -> None:
    old = agent_row("old", "u", status="provisioning", updatedAt=utc(2026, 4, 1))
    await database.add(tables.user, user_row("u"))
    await database.add(tables.agent, old)


async def befall(database: Database, does: str, moment: str) -> None:
    """Let this happen to whoever inserts an agent."""
    await database.run(
        "CREATE OR REPLACE FUNCTION befall() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {does}; RETURN NULL; END $$"
    )
    await database.run(MOMENTS[moment])


class TestCutShort:
    @pytest.mark.parametrize(
        ("befalls", "moment"),
        [
            ("killed", "insert"),
            ("cancelled", "insert"),
            ("slow", "insert"),
            ("refused", "insert"),
            ("killed", "commit"),
            ("cancelled", "commit"),
            ("refused", "commit"),
        ],
    )
    async def test_leaves_nothing(
        self, postgres: Database, open_store: OpenStore, befalls: str, moment: str
    ) -> None:
        does, reason = BEFALLS[befalls]
        await with_an_abandoned_agent(postgres)
        before = await postgres.rows(tables.agent)
        await befall(postgres, does, moment)
        store = open_store(postgres.url, statement_timeout=0.5, pool_size=1)

        assert await reason_of(reserve(store, new_agent("new", "u"))) is reason

        assert await postgres.rows(tables.agent) == before
        await postgres.run('DROP TRIGGER befalls ON "Agent"')
        assert await reserve(store, new_agent("new", "u")) is None
        assert [row["status"] for row in await postgres.rows(tables.agent)] == ["provisioning", "error"]

    async def test_in_its_commit_may_have_left_everything(self, postgres: Database, open_store: OpenStore) -> None:
        await with_an_abandoned_agent(postgres)
        await befall(postgres, "PERFORM pg_sleep(0.6)", "commit")  # which no statement_timeout ends

        reserving = reserve(open_store(postgres.url, statement_timeout=0.3), new_agent("new", "u"))
        assert await reason_of(reserving) is Reason.TIMEOUT

        await postgres.run('DROP TRIGGER befalls ON "Agent"')  # when the transaction is over
        assert [row["id"] for row in await postgres.rows(tables.agent)] == ["new", "old"]

    async def test_leaves_nothing_in_a_file_either(self, sqlite: Database, open_store: OpenStore) -> None:
        await with_an_abandoned_agent(sqlite)
        before = await sqlite.rows(tables.agent)
        await sqlite.run(
            """CREATE TRIGGER befalls AFTER INSERT ON "Agent" BEGIN SELECT RAISE(FAIL, 'no'); END""".replace(
                '"no"', "'no'"
            )
        )
        store = open_store(sqlite.url, pool_size=1)

        assert await reason_of(reserve(store, new_agent("new", "u"))) is Reason.MALFORMED

        assert await sqlite.rows(tables.agent) == before
        await sqlite.run("DROP TRIGGER befalls")
        assert await reserve(store, new_agent("new", "u")) is None

    async def test_by_its_caller_leaves_all_or_nothing(self, database: Database, open_store: OpenStore) -> None:
        store = open_store(database.url, pool_size=2)
        users = [f"user-{number}" for number in range(40)]
        await database.add(tables.user, *map(user_row, users))
        old = {"status": "provisioning", "updatedAt": utc(2026, 4, 1)}
        await database.add(tables.agent, *(agent_row(f"old-{user}", user, **old) for user in users))

        for number, user in enumerate(users):
            task = asyncio.create_task(reserve(store, new_agent(f"new-{user}", user)))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.close()

        for user in users:
            rows = [row for row in await database.rows(tables.agent) if row["userId"] == user]
            assert [row["status"] for row in rows] in (["provisioning"], ["provisioning", "error"])

    async def test_by_the_loss_of_its_gateway_unlocks_the_user(
        self, postgres: Database, open_store: OpenStore
    ) -> None:
        await postgres.add(tables.user, user_row("u"))
        lost, other = (
            open_store(postgres.url, statement_timeout=0.2),
            open_store(postgres.url, statement_timeout=5),
        )
        driver = lost._database.pool._driver
        connection = await driver.connect()
        await driver.begin(connection)
        await driver.fetch(connection, """SELECT id FROM "User" FOR UPDATE""", ())

        assert await reserve(other, new_agent("new", "u")) is None

        driver.discard(connection)


class TestAfterAFailure:
    async def test_a_connection_sees_what_others_commit(self, database: Database, open_store: OpenStore) -> None:
        store = open_store(database.url, pool_size=1)
        await database.add(tables.user, user_row("u"))
        await database.add(tables.agent, agent_row("taken", "other"))

        for _ in range(3):
            assert await reason_of(reserve(store, new_agent("taken", "u"))) is Reason.MALFORMED
            assert await store.agents("u", now=NOW, abandoned_before=ABANDONED) == ()
        await database.add(tables.agent, agent_row("later", "u"))

        assert len(await store.agents("u", now=NOW, abandoned_before=ABANDONED)) == 1
        assert await reserve(store, new_agent("new", "u")) == 1

    async def test_no_transaction_stays_open(self, postgres: Database, open_store: OpenStore) -> None:
        store = open_store(postgres.url)
        await postgres.add(tables.user, user_row("u"))
        await postgres.add(tables.agent, agent_row("taken", "other"))
        await reason_of(reserve(store, new_agent("taken", "u")))
        await reserve(store, new_agent("new", "u"))

        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        while (await store._database.pool.fetch(open_ones, ()))[0][0]:
            pass  # the server is just noticing that a connection is gone

    @pytest.mark.parametrize("write", ["reserve_agent", "put_credential"])
    async def test_a_write_counts_for_the_breaker(self, open_store: OpenStore, write: str) -> None:
        store = open_store("postgresql://user@127.0.0.1:1/platform", failures=2)

        for _ in range(2):
            assert await reason_of(WRITES[write](store)) is Reason.REFUSED
        assert await reason_of(store.account("u")) is Reason.BREAKER_OPEN


class TestWhatCannotBeKept:
    @pytest.mark.parametrize(
        "fields",
        [
            {"name": "\ud800"},
            {"model": "\udfff"},
            {"config": {"a": "\ud800"}},
            {"config": {"\ud800": 1}},
            {"config": {"a": float("nan")}},
            {"config": {"a": float("inf")}},
            {"config": {"a": object}},
        ],
        ids=repr,
    )
    async def test_is_malformed(self, database: Database, open_store: OpenStore, fields: dict[str, Any]) -> None:
        await self._is_malformed(database, open_store, fields)

    @pytest.mark.parametrize(
        "fields",
        [{"name": "\0"}, {"tier": "a\0"}, {"config": {"a": "\0"}}, {"config": {"a": {"\0": 1}}}],
        ids=repr,
    )
    @pytest.mark.parametrize("column", ["json", "jsonb"])
    async def test_in_postgresql_is_malformed(
        self, postgres: Database, open_store: OpenStore, column: str, fields: dict[str, Any]
    ) -> None:
        await postgres.run(f'ALTER TABLE "Agent" ALTER COLUMN config TYPE {column} USING config::{column}')
        await self._is_malformed(postgres, open_store, fields)

    async def _is_malformed(self, database: Database, open_store: OpenStore, fields: dict[str, Any]) -> None:
        store = open_store(database.url, failures=1)
        await database.add(tables.user, user_row("u"))

        assert await reason_of(reserve(store, new_agent("new", "u", **fields))) is Reason.MALFORMED

        assert await database.rows(tables.agent) == []
        assert await reserve(store, new_agent("new", "u")) is None

    async def test_nesting_without_an_end_is_malformed(self, database: Database, store: UserStore) -> None:
        nested: dict[str, Any] = {}
        for _ in range(100_000):
            nested = {"a": nested}

        assert await reason_of(reserve(store, new_agent("new", "u", config=nested))) is Reason.MALFORMED

    @pytest.mark.parametrize(("name", "sealed"), [("\ud800", "v"), ("telegram", "\ud800")])
    async def test_as_a_credential_is_malformed(
        self, database: Database, open_store: OpenStore, name: str, sealed: str
    ) -> None:
        store = open_store(database.url, failures=1)

        assert await reason_of(store.put_credential("u", name, sealed, NOW)) is Reason.MALFORMED

        assert await store.credentials("u") == frozenset()

    async def test_is_what_the_platform_forbids(self, postgres: Database, open_store: OpenStore) -> None:
        store = open_store(postgres.url, failures=1)
        await postgres.run(
            """ALTER TABLE "UserSetting" ADD FOREIGN KEY ("userId") REFERENCES "User" (id) ON DELETE CASCADE"""
        )

        assert await reason_of(store.put_credential("ghost", "telegram", "v", NOW)) is Reason.MALFORMED

        await store.ping()


class TestLockedFile:
    @pytest.mark.parametrize("write", WRITES)
    async def test_times_out_and_recovers(
        self, sqlite: Database, tmp_path: Path, open_store: OpenStore, write: str
    ) -> None:
        await with_an_abandoned_agent(sqlite)
        store = open_store(sqlite.url, statement_timeout=0.1)
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await reason_of(WRITES[write](store)) is Reason.TIMEOUT
            assert await store.account("u") is not None
        await WRITES[write](store)

    async def test_waits_for_its_turn(self, sqlite: Database, tmp_path: Path, open_store: OpenStore) -> None:
        await with_an_abandoned_agent(sqlite)
        store = open_store(sqlite.url, statement_timeout=30)
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reserving = asyncio.create_task(reserve(store, new_agent("new", "u")))
            await store.ping()
            other.execute("""UPDATE "Agent" SET status = 'running', "updatedAt" = ?""", (str(naive(NOW)),))
            other.execute("COMMIT")

        assert await reserving == 1

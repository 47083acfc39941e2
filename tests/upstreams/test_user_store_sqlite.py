"""What only a SQLite file can hold or befall, and what the user store makes of it."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import OpenStore
from tests.stores import (
    NOW,
    Database,
    agent_row,
    naive,
    reason_of,
    session_row,
    user_row,
)
from upstreams.failure import Reason
from upstreams.user_store import (
    Account,
    SessionOwner,
    tables,
)


class TestSqlite:
    @pytest.mark.parametrize(
        "form",
        [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%d %H:%M:%S.000",
            "%Y-%m-%d %H:%M:%S.%f",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%dT%H:%M:%S.000Z",
            "%Y-%m-%d %H:%M:%S+00:00",
        ],
    )
    async def test_times_are_read_in_every_form(self, sqlite: Database, open_store: OpenStore, form: str) -> None:
        await sqlite.add(tables.user, user_row("ada", plan="free"))
        await sqlite.add(tables.session, session_row("t", "ada", NOW))
        await sqlite.add(tables.agent, agent_row("a", "ada"))
        ends = f"{naive(NOW):{form}}"
        await sqlite.run("""UPDATE "Session" SET expires = :ends""", ends=ends)
        await sqlite.run("""UPDATE "User" SET "trialEndsAt" = :ends""", ends=ends)
        await sqlite.run("""UPDATE "Agent" SET "createdAt" = :ends""", ends=ends)
        store, second = open_store(sqlite.url), timedelta(seconds=1)

        assert await store.session("t", NOW - second) == SessionOwner(Account("ada", "ada@example.com"), NOW)
        assert await store.session("t", NOW) is None
        assert (await store.summary(NOW - second)).expiring[0].ends_at == NOW
        assert (await store.summary(NOW)).active_trials == 0
        counts, missed = await store.counts("ada", NOW), await store.counts("ada", NOW + second)
        assert counts
        assert missed
        assert (counts.new_today, missed.new_today) == (1, 0)

    async def test_a_configuration_that_is_not_json_has_no_token(
        self, sqlite: Database, open_store: OpenStore
    ) -> None:
        await sqlite.add(tables.user, user_row("ada"))
        await sqlite.add(tables.agent, agent_row("a", "ada"))
        await sqlite.run("""UPDATE "Agent" SET config = '{"gatewayToken": "cut'""")

        account = await open_store(sqlite.url).account("ada")

        assert account == Account("ada", "ada@example.com")

    async def test_a_missing_file_is_refused_and_not_made(self, tmp_path: Path, open_store: OpenStore) -> None:
        file = tmp_path / "missing.db"
        store = open_store(f"sqlite:///{file}")

        assert await reason_of(store.ping()) is Reason.REFUSED
        assert not file.exists()

    async def test_a_file_that_is_no_database_is_malformed(self, tmp_path: Path, open_store: OpenStore) -> None:
        file = tmp_path / "text.db"
        file.write_text("not a database" * 100)

        assert await reason_of(open_store(f"sqlite:///{file}").account("u")) is Reason.MALFORMED

    async def test_a_locked_file_times_out(self, sqlite: Database, tmp_path: Path, open_store: OpenStore) -> None:
        store = open_store(sqlite.url, statement_timeout=0.1)
        with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await reason_of(store.account("u")) is Reason.TIMEOUT
        assert await store.account("u") is None

    async def test_a_time_that_is_none_is_malformed(self, sqlite: Database, open_store: OpenStore) -> None:
        await sqlite.add(tables.agent, agent_row("a", "ada", status="error"))
        await sqlite.run("""UPDATE "Agent" SET "updatedAt" = 'yesterday'""")

        assert await reason_of(open_store(sqlite.url).summary(NOW)) is Reason.MALFORMED

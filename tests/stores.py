"""A user store to fill: the platform's tables, empty, and rows of which only what matters needs naming."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Table, create_engine, event, insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from demo import store
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import NewAgent, UserStore, tables

DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
Row = dict[str, Any]

# Leaves no row in any table, in one round trip.
EMPTY = text(
    "WITH "
    + ", ".join(f'_{number} AS (DELETE FROM "{name}")' for number, name in enumerate(tables.metadata.tables))
    + " SELECT"
)

_numbers = count(1)

# Databases whose tables nobody can have changed since they were made: emptying them takes a tenth of the time.
_as_made: set[str] = set()


class Database:
    """The database behind ``url``, written past the client under test."""

    def __init__(self, url: str, engine: AsyncEngine) -> None:
        self.url = url
        self._engine = engine

    async def add(self, table: Table, *rows: Row) -> None:
        await self.fill([(table, rows)])

    async def fill(self, filling: Iterable[tuple[Table, Sequence[Row]]]) -> None:
        """Add rows to many tables at once."""
        async with self._engine.begin() as connection:
            for table, rows in filling:
                await connection.execute(insert(table), list(rows))

    async def run(self, sql: str, **values: Any) -> None:
        _as_made.discard(self.url)
        async with self._engine.begin() as connection:
            await connection.execute(text(sql), values)

    async def rows(self, table: Table) -> list[Row]:
        """Return what the table holds, by id."""
        async with self._engine.begin() as connection:
            found = await connection.execute(select(table).order_by(table.c.id))
            return [dict(row) for row in found.mappings()]

    @asynccontextmanager
    async def holding(self, sql: str) -> AsyncIterator[None]:
        """Within, a transaction that has run ``sql`` stays open."""
        _as_made.discard(self.url)
        async with self._engine.begin() as connection:
            await connection.execute(text(sql))
            yield


@asynccontextmanager
async def empty_store(url: str) -> AsyncIterator[Database]:
    """Make the platform's tables anew in the database that ``url`` names."""
    parsed = make_url(url)
    engine = create_async_engine(parsed.set(drivername=DRIVERS[parsed.drivername]), poolclass=NullPool)
    if parsed.drivername == "sqlite":
        _make_file(parsed, engine)
    else:
        await _make_tables(url, engine)
    yield Database(url, engine)
    await engine.dispose()


async def _make_tables(url: str, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        if url in _as_made:
            await connection.execute(EMPTY)
            return
        await connection.run_sync(tables.metadata.drop_all)
        await connection.run_sync(tables.metadata.create_all)
    _as_made.add(url)


def _make_file(url: URL, engine: AsyncEngine) -> None:
    assert url.database is not None
    Path(url.database).write_bytes(_empty_file())
    event.listen(engine.sync_engine, "connect", _in_no_fear_of_crashes)


def platform_store(path: Path, gateway_url: str) -> str:
    """Write the pretend platform's store to the SQLite file; return its URL.

    ``gateway_url`` is that of the users with their own gateway. The rows are as of the first call.
    """
    path.write_bytes(_platform_file())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute('UPDATE "User" SET "openclawUrl" = ? WHERE "openclawUrl" IS NOT NULL', (gateway_url,))
    return f"sqlite:///{path}"


@cache
def _platform_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store.create(path, datetime.now(UTC), "http://127.0.0.1:1")
        return path.read_bytes()


@cache
def _empty_file() -> bytes:
    """Return the SQLite file of the platform's tables: writing it takes a tenth of the time of making them."""
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with engine.connect() as connection:
        made = connection.connection.driver_connection
        assert isinstance(made, sqlite3.Connection)
        file = made.serialize()
    engine.dispose()
    return file


def _in_no_fear_of_crashes(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


NEW_YEAR = utc(2026, 1, 1)


def naive(moment: datetime) -> datetime:
    """Return the time as the platform stores it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def user_row(user_id: str, **fields: Any) -> Row:
    defaults = {"email": f"{user_id}@example.com", "plan": "solo", "subscriptionStatus": None, "trialEndsAt": None}
    unset = {"openclawUrl": None, "openclawInstanceId": None, "referralCode": None, "referralCredits": 0}
    return {"id": user_id, **defaults, **unset, **_naive(fields)}


def session_row(token: str, user_id: str, expires: datetime) -> Row:
    return {"id": f"session-{token}", "sessionToken": token, "userId": user_id, "expires": naive(expires)}


def agent_row(agent_id: str, user_id: str, **fields: Any) -> Row:
    created = fields.pop("createdAt", NEW_YEAR)
    given = {"createdAt": created, "updatedAt": created, **fields}
    defaults = {"name": agent_id, "status": "active", "config": None, "tier": None}
    unset = {"model": None, "websocketUrl": None}
    return {"id": agent_id, "userId": user_id, **defaults, **unset, **_naive(given)}


def new_agent(agent_id: str, user_id: str, **fields: Any) -> NewAgent:
    defaults = {"name": agent_id, "model": "claude-opus-4-6", "tier": None, "config": None}
    return NewAgent(agent_id, user_id, **{**defaults, **fields})


def skill_row(skill_id: str, name: str | None = None, description: str | None = None) -> Row:
    return {"id": skill_id, "name": name or skill_id, "description": description}


def installed_row(user_id: str, skill_id: str, *, enabled: bool = True, at: datetime = NEW_YEAR) -> Row:
    number = next(_numbers)
    keys = {"id": f"installed-{number}", "agentId": f"agent-{number}"}
    return {**keys, "userId": user_id, "skillId": skill_id, "enabled": enabled, "createdAt": naive(at)}


def task_row(user_id: str, at: datetime = NEW_YEAR) -> Row:
    number = next(_numbers)
    return {"id": f"task-{number}", "userId": user_id, "name": "t", "enabled": True, "createdAt": naive(at)}


def referral_row(referrer_id: str) -> Row:
    number = next(_numbers)
    keys = {"id": f"referral-{number}", "referredId": f"friend-{number}"}
    return {**keys, "referrerId": referrer_id, "createdAt": naive(NEW_YEAR)}


def setting_row(user_id: str, key: str, value: str | None = "v") -> Row:
    at = naive(NEW_YEAR)
    keys = {"id": f"setting-{next(_numbers)}", "userId": user_id, "key": key}
    return {**keys, "value": value, "createdAt": at, "updatedAt": at}


def _naive(fields: Row) -> Row:
    return {name: naive(value) if isinstance(value, datetime) else value for name, value in fields.items()}


NOW = utc(2026, 4, 4, 12)
TODAY = utc(2026, 4, 4)
SINCE = utc(2025, 4, 4, 12)
ABANDONED = utc(2026, 4, 4, 11, 50)

Ask = Callable[[UserStore], Awaitable[Any]]

EVERY_METHOD: dict[str, Ask] = {
    "session": lambda store: store.session("t", NOW),
    "account": lambda store: store.account("u"),
    "dashboard": lambda store: store.dashboard("u"),
    "bootstrap": lambda store: store.bootstrap("u"),
    "inventory": lambda store: store.inventory("u", SINCE, NOW),
    "subscription": lambda store: store.subscription("u"),
    "counts": lambda store: store.counts("u", TODAY),
    "summary": lambda store: store.summary(NOW),
    "agents": lambda store: store.agents("u", now=NOW, abandoned_before=ABANDONED),
    "owned_agent": lambda store: store.owned_agent("u", "a"),
    "instance": lambda store: store.instance("u"),
    "standing": lambda store: store.standing("u"),
    "reserve_agent": lambda store: store.reserve_agent(
        new_agent("new", "u"), limit=1, now=NOW, abandoned_before=ABANDONED
    ),
    "finish_agent": lambda store: store.finish_agent("a", "u", status="error", websocket_url=None, now=NOW),
    "installed_skills": lambda store: store.installed_skills("u"),
    "set_skill": lambda store: store.set_skill("u", "s", enabled=True),
    "credentials": lambda store: store.credentials("u"),
    "put_credential": lambda store: store.put_credential("u", "telegram", "sealed", NOW),
    "ping": lambda store: store.ping(),
    "check_schema": lambda store: store.check_schema(),
}


async def reason_of(answer: Awaitable[Any]) -> Reason:
    with pytest.raises(UpstreamFailure) as caught:
        await answer
    assert caught.value.upstream == "user_store"
    assert str(caught.value) == f"user_store: {caught.value.reason}"
    return caught.value.reason

"""The rows the benchmark runs on, and what tells one user's requests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import create_async_engine

from demo.people import ADA
from upstreams.user_store import tables

USERS = 1_024
AGENTS_EACH = 10
LARGE_USER = USERS
LARGE_AGENTS = 10_000
SKILLS_EACH_AGENT = 5
SKILLS = 60

Record = tuple[Any, ...]


def session_token(user: int) -> str:
    return f"bench-session-{user}"


def path_of(user: int) -> str:
    """Return the base path of the user's own gateway: distinct, so that no two share what their gateway said."""
    return f"/u{user}"


async def fill(url: str, gateway: str) -> None:
    """Create the tables in an empty database and fill them; the users' gateways are below ``gateway``."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(tables.metadata.create_all)
    await engine.dispose()
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    connection = await asyncpg.connect(url)
    try:
        await _copy(connection, tables.skill, _skills())
        for user in range(USERS):
            await _fill_user(connection, user, AGENTS_EACH, gateway, now)
        await _fill_user(connection, LARGE_USER, LARGE_AGENTS, gateway, now)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _fill_user(connection: asyncpg.Connection, user: int, agents: int, gateway: str, now: datetime) -> None:
    user_id = f"bench_{user}"
    plan = ("label", "active", now, None)
    row = (user_id, f"User {user}", f"{user_id}@example.com", *plan, gateway + path_of(user), None, None, 0)
    await _copy(connection, tables.user, [row])
    session = (user_id, session_token(user), user_id, now + timedelta(days=30))
    await _copy(connection, tables.session, [session])
    await _copy(connection, tables.agent, [_agent(user_id, number, now) for number in range(agents)])
    installed = [
        _installed(user_id, number, skill, now) for number in range(agents) for skill in range(SKILLS_EACH_AGENT)
    ]
    await _copy(connection, tables.installed_skill, installed)
    await _copy(connection, tables.scheduled_task, [_task(user_id, number, now) for number in range(agents)])


async def _copy(connection: asyncpg.Connection, table: Table, records: list[Record]) -> None:
    await connection.copy_records_to_table(table.name, records=records, columns=table.columns.keys())


def _skills() -> list[Record]:
    return [(f"skill_{number}", f"skill-{number:02}", "What it does.", "demo") for number in range(SKILLS)]


def _agent(user_id: str, number: int, now: datetime) -> Record:
    status = ("active", "running", "stopped", "error")[number % 4]
    created = _spread(now, number)
    # A token that the pretend gateway knows, so that it has conversations to tell of.
    config = f'{{"gatewayToken": "{ADA.gateway_token}"}}'
    agent_id = f"{user_id}_agent_{number}"
    return (agent_id, user_id, f"agent {number}", "claude", status, None, config, created, created, "label")


def _installed(user_id: str, number: int, nth: int, now: datetime) -> Record:
    skill = (number * SKILLS_EACH_AGENT + nth * 7 + number // 11) % SKILLS
    agent_id = f"{user_id}_agent_{number}"
    created = _spread(now, number + nth)
    return (f"{agent_id}_{nth}", user_id, agent_id, f"skill_{skill}", (number + nth) % 4 != 0, created)


def _task(user_id: str, number: int, now: datetime) -> Record:
    agent_id = f"{user_id}_agent_{number}"
    return (f"{agent_id}_task", user_id, agent_id, f"task {number}", number % 3 != 0, _spread(now, number))


def _spread(now: datetime, number: int) -> datetime:
    """Return a moment in the last 300 days, the same for the same number."""
    return now - timedelta(days=number * 37 % 300, minutes=1)

"""The store that a case describes, as rows of the platform's tables, and such rows as a case describes them."""

from collections.abc import Mapping
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Table

from tests.contract.case import moment
from tests.contract.words import written_out
from tests.stores import (
    NEW_YEAR,
    Row,
    agent_row,
    installed_row,
    naive,
    referral_row,
    session_row,
    skill_row,
    task_row,
    user_row,
)
from upstreams.user_store import tables

TABLES = {
    "users": tables.user,
    "sessions": tables.session,
    "agents": tables.agent,
    "skills": tables.skill,
    "installed": tables.installed_skill,
    "tasks": tables.scheduled_task,
    "referrals": tables.referral,
    "settings": tables.user_setting,
    "registrations": tables.agent_registration,
}

_SHORT = {"userId": "user", "skillId": "skill", "referrerId": "by", "sessionToken": "token"}

_numbers = count(1)


def token_of(user_id: str) -> str:
    """Return the token of the session that every user of a case has, and any who is missing may have."""
    return f"session-of-{user_id}"


def rows_of(store: Mapping[str, Any], now: datetime, words: Mapping[str, str]) -> list[tuple[Table, list[Row]]]:
    """Return the rows, with ``now-3d`` as times and ``words`` such as ``<gateway url>`` filled in."""
    given: dict[str, list[Row]] = {
        name: [{key: _filled(value, now, words) for key, value in row.items()} for row in rows]
        for name, rows in store.items()
    }
    assert not given.keys() - TABLES.keys(), f"unknown tables: {given.keys()}"
    users = given.get("users", [])
    sessions = given.get("sessions", [])
    skills = given.get("installed", [])
    names = dict.fromkeys(row["skill"] for row in skills)
    later = moment("now+1d", now)
    assert later is not None
    described_skills = {row["id"]: row for row in given.get("skills", [])}
    made = [
        (tables.user, [user_row(**_as(row, "user_id")) for row in users]),
        (tables.session, [session_row(token_of(row["id"]), row["id"], later) for row in users]),
        (tables.session, [session_row(row["token"], row["user"], row.get("expires", later)) for row in sessions]),
        (tables.agent, [_agent(row) for row in given.get("agents", [])]),
        (tables.skill, [skill_row(name) | described_skills.get(name, {}) for name in names | described_skills]),
        (tables.installed_skill, [_installed(row) for row in skills]),
        (tables.scheduled_task, [task_row(row["user"], row["createdAt"]) for row in given.get("tasks", [])]),
        (tables.referral, [referral_row(row["by"]) for row in given.get("referrals", [])]),
        (tables.user_setting, [_setting(row) for row in given.get("settings", [])]),
        (tables.agent_registration, given.get("registrations", [])),
    ]
    return [(table, _alike(rows)) for table, rows in made if rows]


def described(row: Row) -> Row:
    """Return a row of a table in the words that cases have for it."""
    return {_SHORT.get(name, name): _told(value) for name, value in row.items()}


def _told(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return (naive(value) if value.tzinfo else value).isoformat(timespec="milliseconds") + "Z"


def _as(row: Row, name: str) -> Row:
    return {name if key == "id" else key: value for key, value in row.items()}


def _agent(row: Row) -> Row:
    fields = dict(row)
    return agent_row(fields.pop("id"), fields.pop("user"), **fields)


def _installed(row: Row) -> Row:
    return installed_row(row["user"], row["skill"], enabled=row.get("enabled", True), at=row["createdAt"])


def _setting(row: Row) -> Row:
    at = naive(NEW_YEAR)
    keys = {"id": f"setting-{next(_numbers)}", "userId": row["user"], "key": row["key"]}
    return {**keys, "value": row["value"], "createdAt": at, "updatedAt": at}


def _alike(rows: list[Row]) -> list[Row]:
    """Return rows that all have the same columns, as what is inserted together must."""
    columns = dict.fromkeys(column for row in rows for column in row)
    return [{column: row.get(column) for column in columns} for row in rows]


def _filled(value: Any, now: datetime, words: Mapping[str, str]) -> Any:
    if isinstance(value, str) and (time := moment(value, now)) is not None:
        return time
    return written_out(value, words)

"""The store that a case describes, as rows of the platform's tables."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Table

from tests.contract.case import moment
from tests.stores import (
    Row,
    agent_row,
    installed_row,
    referral_row,
    session_row,
    skill_row,
    task_row,
    user_row,
)
from upstreams.user_store import tables


def token_of(user_id: str) -> str:
    """Return the token of the session that every user of a case has, and any who is missing may have."""
    return f"session-of-{user_id}"


def rows_of(store: Mapping[str, Any], now: datetime, words: Mapping[str, str]) -> list[tuple[Table, list[Row]]]:
    """Return the rows, with ``now-3d`` as times and ``words`` such as ``<gateway url>`` filled in."""
    given: dict[str, list[Row]] = {
        name: [{key: _filled(value, now, words) for key, value in row.items()} for row in rows]
        for name, rows in store.items()
    }
    users = given.get("users", [])
    sessions = given.get("sessions", [])
    skills = given.get("installed", [])
    names = dict.fromkeys(row["skill"] for row in skills)
    later = moment("now+1d", now)
    assert later is not None
    made = [
        (tables.user, [user_row(**_as(row, "user_id")) for row in users]),
        (tables.session, [session_row(token_of(row["id"]), row["id"], later) for row in users]),
        (tables.session, [session_row(row["token"], row["user"], row.get("expires", later)) for row in sessions]),
        (tables.agent, [_agent(row) for row in given.get("agents", [])]),
        (tables.skill, [skill_row(name) for name in names]),
        (tables.installed_skill, [_installed(row) for row in skills]),
        (tables.scheduled_task, [task_row(row["user"], row["createdAt"]) for row in given.get("tasks", [])]),
        (tables.referral, [referral_row(row["by"]) for row in given.get("referrals", [])]),
        (tables.agent_registration, given.get("registrations", [])),
    ]
    return [(table, rows) for table, rows in made if rows]


def _as(row: Row, name: str) -> Row:
    return {name if key == "id" else key: value for key, value in row.items()}


def _agent(row: Row) -> Row:
    fields = dict(row)
    return agent_row(fields.pop("id"), fields.pop("user"), **fields)


def _installed(row: Row) -> Row:
    return installed_row(row["user"], row["skill"], enabled=row.get("enabled", True), at=row["createdAt"])


def _filled(value: Any, now: datetime, words: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    return words.get(value) or moment(value, now) or value

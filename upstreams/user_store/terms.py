"""What the statements are made of. They are the same for PostgreSQL and SQLite.

Constants are literals rather than parameters, so that the database plans with them.
"""

from typing import Any

from sqlalchemy import ColumnElement, DateTime, Text, bindparam, func, literal_column, select
from sqlalchemy.types import TypeEngine

from upstreams.user_store.dialects import comparable
from upstreams.user_store.tables import agent, user


def literal(value: str | int) -> ColumnElement[Any]:
    return literal_column(f"'{value}'" if isinstance(value, str) else str(value))


def parameter(name: str, kind: type[TypeEngine[Any]]) -> ColumnElement[Any]:
    return bindparam(name, type_=kind)


USER_ID = parameter("user_id", Text)
NOW = parameter("now", DateTime)


def agent_of_user() -> ColumnElement[Any]:
    """Return the id of the user's agent: the one the user names if it is the user's, else the newest."""
    named, newest = agent.alias("named"), agent.alias("newest")
    the_named = select(named.c.id).where(named.c.id == user.c.openclawInstanceId, named.c.userId == user.c.id)
    the_newest = (
        select(newest.c.id)
        .where(newest.c.userId == user.c.id)
        .order_by(comparable(newest.c.createdAt).desc(), newest.c.id.desc())
        .limit(literal(1))
    )
    return func.coalesce(the_named.correlate(user).scalar_subquery(), the_newest.correlate(user).scalar_subquery())

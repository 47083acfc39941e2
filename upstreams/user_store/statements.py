"""The statements that the dashboards read with. Counting, grouping and limiting is the database's work."""

from typing import Any

from sqlalchemy import (
    CTE,
    Case,
    ClauseElement,
    Column,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    case,
    cast,
    extract,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from upstreams.user_store.dialects import comparable, gateway_token_json
from upstreams.user_store.tables import (
    agent,
    agent_registration,
    installed_skill,
    metadata,
    referral,
    scheduled_task,
    session,
    skill,
    user,
)
from upstreams.user_store.terms import NOW, USER_ID, agent_of_user, literal, parameter

TOP_SKILLS = 6
EXPIRING_TRIALS = 12
RECENT_ERRORS = 5


LIVE = agent.c.status.in_([literal("active"), literal("running")])
ON_FREE_PLAN = func.coalesce(func.nullif(user.c.plan, literal("")), literal("free")) == literal("free")


# One user and the user's agent


def _with_agent(source: FromClause) -> FromClause:
    return source.outerjoin(agent, agent.c.id == agent_of_user()).outerjoin(
        agent_registration, agent_registration.c.user_id == user.c.id
    )


CONNECTION = (
    user.c.openclawUrl,
    gateway_token_json(agent.c.config).label("agent_token"),
    agent_registration.c.gateway_token,
)

SESSION = (
    select(session.c.userId, session.c.expires, user.c.email, *CONNECTION)
    .select_from(_with_agent(session.outerjoin(user, user.c.id == session.c.userId)))
    .where(session.c.sessionToken == parameter("token", Text), comparable(session.c.expires) > NOW)
)

ACCOUNT = select(user.c.id, user.c.email, *CONNECTION).select_from(_with_agent(user)).where(user.c.id == USER_ID)

DASHBOARD = (
    select(
        user.c.id,
        user.c.referralCredits,
        user.c.plan,
        user.c.openclawInstanceId,
        *CONNECTION,
        agent.c.id,
        agent.c.status,
        agent.c.name,
        agent.c.tier,
    )
    .select_from(_with_agent(user))
    .where(user.c.id == USER_ID)
)

BOOTSTRAP = (
    select(
        user.c.referralCredits,
        user.c.referralCode,
        select(func.count()).where(referral.c.referrerId == USER_ID).scalar_subquery().label("referrals"),
        user.c.plan,
        user.c.openclawInstanceId,
        *CONNECTION,
    )
    .select_from(_with_agent(user))
    .where(user.c.id == USER_ID)
)


# What one user has


def _month(moment: Column[Any]) -> Case[Any]:
    """Return ``year * 12 + month - 1`` of a time in the range that is asked for, null outside of it."""
    asked = comparable(moment).between(parameter("since", DateTime), parameter("until", DateTime))
    return case(
        (
            asked,
            cast(extract("year", moment) * literal(12) + extract("month", moment) - literal(1), Integer),
        )
    )


def _by_month(kind: str, table: Table, marked: ColumnElement[bool]) -> Select[Any]:
    """Return rows of ``kind, month, name, number, marked`` from what the user has in ``table``."""
    dated = select(_month(table.c.createdAt).label("month"), marked.label("marked"))
    items = dated.where(table.c.userId == USER_ID).subquery(kind)
    return select(
        literal(kind),
        items.c.month,
        cast(null(), Text),
        func.count(),
        func.count().filter(items.c.marked),
    ).group_by(items.c.month)


def _installs() -> CTE:
    """Return the user's installed skills by skill and month: they can be many, so they are read once."""
    dated = select(
        installed_skill.c.skillId,
        _month(installed_skill.c.createdAt).label("month"),
        installed_skill.c.enabled,
    )
    items = dated.where(installed_skill.c.userId == USER_ID).subquery("dated")
    return (
        select(
            items.c.skillId,
            items.c.month,
            func.count().label("number"),
            func.count().filter(items.c.enabled).label("enabled"),
        )
        .group_by(items.c.skillId, items.c.month)
        .cte("installs")
    )


def _total(count: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(count), Integer)


def _top_skills(installs: CTE) -> Select[Any]:
    enabled = _total(installs.c.enabled).label("enabled")
    top = (
        select(skill.c.name, enabled)
        .join_from(installs, skill, skill.c.id == installs.c.skillId)
        .group_by(skill.c.id, skill.c.name)
        .having(func.sum(installs.c.enabled) > literal(0))
        .order_by(enabled.desc(), skill.c.name)
        .limit(literal(TOP_SKILLS))
        .subquery("top")
    )
    return select(literal("top"), cast(null(), Integer), top.c.name, top.c.enabled, literal(0))


def _inventory() -> Select[Any]:
    installs = _installs()
    skills = select(
        literal("skills"),
        installs.c.month,
        cast(null(), Text),
        _total(installs.c.number),
        _total(installs.c.enabled),
    ).group_by(installs.c.month)
    rows = union_all(
        select(
            literal("user").label("kind"),
            cast(null(), Integer).label("month"),
            cast(null(), Text).label("name"),
            literal(1).label("number"),
            literal(0).label("marked"),
        ).where(user.c.id == USER_ID),
        _by_month("agents", agent, LIVE),
        skills,
        _by_month("tasks", scheduled_task, scheduled_task.c.enabled),
        _top_skills(installs),
    ).subquery("inventory")
    return select(rows).order_by(rows.c.kind, rows.c.month, rows.c.number.desc(), rows.c.name)


def _owned(table: FromClause) -> ColumnElement[int]:
    return select(func.count()).where(table.c.userId == USER_ID).scalar_subquery()


INVENTORY = _inventory()

SUBSCRIPTION = (
    select(user.c.plan, _owned(agent.alias("every")).label("agents"), agent.c.id, agent.c.name)
    .select_from(user.outerjoin(agent, (agent.c.userId == user.c.id) & LIVE))
    .where(user.c.id == USER_ID)
    .order_by(comparable(agent.c.createdAt), agent.c.id)
)


def _counts() -> Select[Any]:
    agents = (
        select(
            func.count().filter(agent.c.status == literal("active")).label("active"),
            func.count().label("total"),
            func.count().filter(comparable(agent.c.createdAt) >= parameter("today", DateTime)).label("new"),
        )
        .where(agent.c.userId == USER_ID)
        .subquery("agents")
    )
    skills, tasks = _owned(installed_skill).label("skills"), _owned(scheduled_task).label("tasks")
    columns = (user.c.plan, agents.c.active, agents.c.total, agents.c.new, skills, tasks)
    return select(*columns).join_from(user, agents, literal_column("true")).where(user.c.id == USER_ID)


COUNTS = _counts()


# The whole platform


def _summary() -> ClauseElement:
    """Return rows of ``kind, id, name, owner, moment, number``; a kind leaves what it lacks null."""
    trial_ends = comparable(user.c.trialEndsAt)
    on_trial = select(user.c.id).where(ON_FREE_PLAN, trial_ends > NOW)
    expiring = (
        select(user.c.id, user.c.email, user.c.trialEndsAt)
        .where(ON_FREE_PLAN, trial_ends > NOW, trial_ends <= parameter("soon", DateTime))
        .order_by(trial_ends, user.c.id)
        .limit(literal(EXPIRING_TRIALS))
        .subquery("expiring")
    )
    errors = (
        select(agent.c.id, agent.c.name, agent.c.userId, agent.c.updatedAt)
        .where(agent.c.status == literal("error"))
        .order_by(comparable(agent.c.updatedAt).desc(), agent.c.id)
        .limit(literal(RECENT_ERRORS))
        .subquery("errors")
    )
    text, moment = cast(null(), Text), cast(null(), agent.c.updatedAt.type)
    none = literal(0)
    return union_all(
        select(literal("trials"), text, text, text, moment, func.count()).select_from(
            on_trial.subquery("on_trial")
        ),
        select(literal("expiring"), expiring.c.id, expiring.c.email, text, expiring.c.trialEndsAt, none),
        select(literal("status"), text, agent.c.status, text, moment, func.count()).group_by(agent.c.status),
        select(literal("error"), errors.c.id, errors.c.name, errors.c.userId, errors.c.updatedAt, none),
    )


SUMMARY = _summary()

PING = select(literal(1))

SCHEMA = tuple(select(table).limit(literal(0)) for table in metadata.sorted_tables)

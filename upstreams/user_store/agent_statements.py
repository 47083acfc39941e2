"""The statements that list, reserve and finish agents."""

from sqlalchemy import DateTime, Integer, Text, case, exists, func, insert, null, select, update

from upstreams.user_store.dialects import comparable, json_document
from upstreams.user_store.tables import agent, user
from upstreams.user_store.terms import NOW, USER_ID, agent_of_user, literal, parameter

PROVISIONING = literal("provisioning")
ERROR = literal("error")

AGENT_ID = parameter("agent_id", Text)
OF_USER = agent.c.userId == USER_ID

AGENTS = (
    select(
        agent.c.id,
        agent.c.name,
        agent.c.model,
        agent.c.status,
        agent.c.websocketUrl,
        agent.c.createdAt,
        agent.c.updatedAt,
    )
    .where(OF_USER)
    .order_by(comparable(agent.c.createdAt).desc(), agent.c.id.desc())
)

OWNED_AGENT = select(agent.c.id, agent.c.name, agent.c.model, agent.c.status).where(
    agent.c.id == AGENT_ID, OF_USER
)

ANYBODYS = agent.alias("anybodys")
IS_ANOTHERS = exists().where(ANYBODYS.c.id == user.c.openclawInstanceId, ANYBODYS.c.userId != user.c.id)

# Naming another user's agent as one's own instance makes it nobody's to steer.
INSTANCE = (
    select(
        case(
            (IS_ANOTHERS, agent.c.id),
            else_=func.coalesce(func.nullif(user.c.openclawInstanceId, literal("")), agent.c.id),
        ),
        user.c.plan,
        agent.c.model,
        agent.c.status,
    )
    .select_from(user.outerjoin(agent, agent.c.id == agent_of_user()))
    .where(user.c.id == USER_ID)
)

COUNTED = select(func.count()).where(OF_USER, agent.c.status != ERROR)

STANDING = select(
    user.c.plan, user.c.subscriptionStatus, user.c.trialEndsAt, COUNTED.scalar_subquery().label("agents")
).where(user.c.id == USER_ID)

ABANDON = (
    update(agent)
    .where(
        OF_USER,
        agent.c.status == PROVISIONING,
        comparable(agent.c.updatedAt) < parameter("abandoned_before", DateTime),
    )
    .values(status=ERROR, updatedAt=NOW)
)

LOCK_USER = select(user.c.id).where(user.c.id == USER_ID).with_for_update()

RESERVE = (
    insert(agent)
    .from_select(
        ["id", "userId", "name", "model", "tier", "config", "status", "websocketUrl", "createdAt", "updatedAt"],
        select(
            AGENT_ID,
            user.c.id,
            parameter("agent_name", Text),
            parameter("agent_model", Text),
            parameter("agent_tier", Text),
            json_document(parameter("agent_config", Text)),
            PROVISIONING,
            null(),
            NOW,
            NOW,
        ).where(user.c.id == USER_ID, COUNTED.scalar_subquery() < parameter("agent_limit", Integer)),
        include_defaults=False,
    )
    .returning(agent.c.id)
)

# An agent that was given up in the meantime stays so: its place may be another's by now.
FINISH = (
    update(agent)
    .where(agent.c.id == AGENT_ID, OF_USER, agent.c.status.in_([PROVISIONING, parameter("outcome", Text)]))
    .values(status=parameter("outcome", Text), websocketUrl=parameter("agent_url", Text), updatedAt=NOW)
    .returning(agent.c.id)
)

"""A user's agents (document 004, "List agents" and "List provisioned agents"), newest first."""

from datetime import timedelta

from bff.plans import Access, Ask, Got, NoQuery, Plan, required
from contracts import agents, provisioning

# What a gateway left in ``provisioning`` when it died becomes ``error`` here, so no agent waits forever.
AGENTS = required(
    "user_store",
    lambda up, ask: up.user_store.agents(
        ask.caller.user_id, now=ask.now, abandoned_before=ask.now - timedelta(seconds=up.abandoned_after)
    ),
)


def _listed(got: Got) -> list[agents.Agent]:
    return [
        agents.Agent(
            id=agent.id,
            name=agent.name,
            model=agent.model,
            status=agent.status,
            websocket_url=agent.websocket_url,
            created_at=agent.created_at,
            updated_at=agent.updated_at,
        )
        for agent in got[AGENTS]
    ]


def agent_list(_ask: Ask[NoQuery], got: Got) -> agents.AgentList:
    listed = _listed(got)
    return agents.AgentList(agents=listed, count=len(listed))


def provisioned_list(_ask: Ask[NoQuery], got: Got) -> provisioning.ProvisionedList:
    listed = _listed(got)
    return provisioning.ProvisionedList(agents=listed, count=len(listed))


LIST = Plan(
    "agents.list",
    path="/api/agents",
    document="004",
    query=NoQuery,
    answer=agents.AgentList,
    access=Access.SESSION,
    sources=(AGENTS,),
    merge=agent_list,
    failed="Failed to fetch agents",
    failed_fields=lambda _failure, _milliseconds: {"agents": [], "count": 0},
    stranger=agents.AgentList(agents=[], count=0),
)

PROVISIONED = Plan(
    "agents.provisioned",
    path="/api/agents/provision",
    document="004",
    query=NoQuery,
    answer=provisioning.ProvisionedList,
    access=Access.SESSION,
    sources=(AGENTS,),
    merge=provisioned_list,
    failed="Failed to list agents",
)

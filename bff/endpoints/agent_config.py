"""An agent's configuration (document 004, "Get agent configuration", "Update agent configuration")."""

from bff.clients import Clients
from bff.endpoints.owned import AGENT, AgentQuery, actor
from bff.plans import Access, Action, Ask, Got, Order, Plan, required
from contracts import agents

CONFIG = required("backend", lambda up, ask: up.backend.config(actor(ask), ask.query.agent_id))


def config(_ask: Ask[AgentQuery], got: Got) -> agents.ConfigAnswer:
    return agents.ConfigAnswer(config=got[CONFIG], status="ok")


async def put_config(up: Clients, order: Order[AgentQuery, agents.ConfigBody]) -> agents.ConfigAnswer:
    applied = await up.backend.put_config(actor(order), order.query.agent_id, order.body.root)
    return agents.ConfigAnswer(config=applied, status="updated")


GET_CONFIG = Plan(
    "agents.config",
    path="/api/agents/{agent_id}/config",
    document="004",
    query=AgentQuery,
    answer=agents.ConfigAnswer,
    access=Access.SESSION,
    subject=AGENT,
    sources=(CONFIG,),
    merge=config,
    failed="Failed to fetch agent configuration",
    missing="Agent not found",
    secret=True,
)

PUT_CONFIG = Action(
    "agents.config.update",
    method="PUT",
    path="/api/agents/{agent_id}/config",
    document="004",
    query=AgentQuery,
    body=agents.ConfigBody,
    answer=agents.ConfigAnswer,
    access=Access.SESSION,
    subject=AGENT,
    asks=("backend",),
    perform=put_config,
    failed="Failed to update agent configuration",
    missing="Agent not found",
)

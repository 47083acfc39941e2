"""One agent as the agent management service knows it (document 004, "Get agent")."""

from bff.endpoints.owned import AGENT, AgentQuery, actor
from bff.plans import Access, Ask, Got, Plan, required
from contracts import agents

BACKEND_AGENT = required("backend", lambda up, ask: up.backend.agent(actor(ask), ask.query.agent_id))


def agent(ask: Ask[AgentQuery], got: Got) -> agents.AgentAnswer:
    found = got[BACKEND_AGENT]
    return agents.AgentAnswer(
        agent=agents.AgentDetail(
            id=ask.query.agent_id,
            status=found.status,
            started_at=found.started_at,
            plan=found.plan,
            subdomain=found.subdomain,
            url=found.url,
            openclaw_version=found.openclaw_version,
            verified=found.verified,
            verification_type=found.verification_type,
            attestation_uid=found.attestation_uid,
            verified_at=found.verified_at,
        )
    )


DETAIL = Plan(
    "agents.detail",
    path="/api/agents/{agent_id}",
    document="004",
    query=AgentQuery,
    answer=agents.AgentAnswer,
    access=Access.SESSION,
    subject=AGENT,
    sources=(BACKEND_AGENT,),
    merge=agent,
    failed="Failed to fetch agent",
    missing="Agent not found",
)

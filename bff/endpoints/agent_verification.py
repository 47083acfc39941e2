"""Whether an agent is verified (document 004, "Agent verification").

What proves it is checked by the agent management service; the gateway forwards what it was given.
"""

from bff.clients import Clients
from bff.endpoints.owned import AGENT, AgentQuery, actor
from bff.plans import Access, Action, Ask, Got, Order, Plan, Refused, required
from contracts import agents
from upstreams.backend import VerifyRequest
from upstreams.failure import UpstreamFailure

VERIFICATION = required("backend", lambda up, ask: up.backend.verification(actor(ask), ask.query.agent_id))


def verification(_ask: Ask[AgentQuery], got: Got) -> agents.VerificationStatus:
    found = got[VERIFICATION]
    return agents.VerificationStatus(
        verified=found.verified,
        verification_type=found.verification_type,
        attestation_uid=found.attestation_uid,
        verifier_address=found.verifier_address,
        verified_at=found.verified_at,
        metadata=found.metadata,
    )


async def verify(up: Clients, order: Order[AgentQuery, agents.VerifyBody]) -> agents.Verified:
    given = order.body
    request = VerifyRequest(
        verification_type=given.verification_type,
        attestation_uid=given.attestation_uid,
        signature=given.signature,
        wallet_address=given.wallet_address,
    )
    try:
        done = await up.backend.verify(actor(order), order.query.agent_id, request)
    except UpstreamFailure as failure:
        if failure.status == 400 and failure.in_json:
            raise Refused(400, "Verification was refused") from failure
        raise
    return agents.Verified(
        success=True,
        verified=done.verified,
        verification_type=done.verification_type,
        attestation_uid=done.attestation_uid,
        verified_at=done.verified_at,
    )


async def unverify(up: Clients, order: Order[AgentQuery, None]) -> agents.Removed:
    await up.backend.unverify(actor(order), order.query.agent_id)
    return agents.Removed()


GET_VERIFICATION = Plan(
    "agents.verification",
    path="/api/agents/{agent_id}/verify",
    document="004",
    query=AgentQuery,
    answer=agents.VerificationStatus,
    access=Access.SESSION,
    subject=AGENT,
    sources=(VERIFICATION,),
    merge=verification,
    failed="Failed to fetch verification status",
    missing="Agent not found",
)

VERIFY = Action(
    "agents.verify",
    method="POST",
    path="/api/agents/{agent_id}/verify",
    document="004",
    query=AgentQuery,
    body=agents.VerifyBody,
    answer=agents.Verified,
    access=Access.SESSION,
    subject=AGENT,
    asks=("backend",),
    perform=verify,
    failed="Failed to verify agent",
    missing="Agent not found",
)

UNVERIFY = Action(
    "agents.unverify",
    method="DELETE",
    path="/api/agents/{agent_id}/verify",
    document="004",
    query=AgentQuery,
    answer=agents.Removed,
    access=Access.SESSION,
    subject=AGENT,
    asks=("backend",),
    perform=unverify,
    failed="Failed to remove verification",
    missing="Agent not found",
)

"""Provisioning an agent (document 004, "Provision agent"; contract.md, "Provision agent", for the order).

The store counts and inserts in one transaction, so that no number of requests at once exceeds the limit; the agent
is deployed afterwards, outside of it. What fails, or dies, leaves a row that says so.
"""

import secrets
from datetime import timedelta
from typing import Any, Final

import structlog

from bff.clients import Clients
from bff.endpoints.users import existing
from bff.figures.subscription import ADMIN_AGENT_LIMIT, agent_limit, is_subscribed
from bff.plans import Access, Action, NoQuery, Order, Quota, Refused
from contracts import iso_milliseconds, provisioning
from contracts.provisioning import ProvisionAgentBody
from upstreams.deployment import DeployOrder
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import NewAgent, Standing

_log: Final = structlog.get_logger("bff.provision")

CHANGES: Final = (
    "dashboard.data",
    "dashboard.analytics",
    "dashboard.bootstrap",
    "dashboard.cost",
    "dashboard.stats",
)
_LIMIT_RETRY_SECONDS: Final = 60  # no sooner does a deployment that was given up free its place


async def provision(up: Clients, order: Order[NoQuery, ProvisionAgentBody]) -> provisioning.ProvisionAnswer:
    standing = existing(await up.user_store.standing(order.caller.user_id))
    _check_subscription(order, standing)
    agent = _new_agent(order)
    await _reserve(up, order, standing, agent)
    try:
        await up.deployment.deploy(_deploy_order(agent, order))
    except UpstreamFailure:
        await _give_up(up, order, agent)
        raise
    url = up.deployment.websocket_url(agent.user_id)
    await _finish(up, order, agent, url)
    return provisioning.ProvisionAnswer(
        agent=provisioning.ProvisionedAgent(
            id=agent.id,
            name=agent.name,
            status="running",
            websocket_url=url,
            model=agent.model,
            created_at=order.now,
        )
    )


def _check_subscription(order: Order[NoQuery, ProvisionAgentBody], standing: Standing) -> None:
    if not order.caller.is_admin and not is_subscribed(standing, order.now):
        raise Refused(402, "Active subscription required to provision agents")


def _new_agent(order: Order[NoQuery, ProvisionAgentBody]) -> NewAgent:
    body = order.body
    return NewAgent(
        id=f"agent_{secrets.token_hex(12)}",
        user_id=order.caller.user_id,
        name=body.name,
        model=body.model,
        tier=body.tier,
        config=_config(body),
    )


def _config(body: ProvisionAgentBody) -> dict[str, Any]:
    """Return the configuration without a token, which would be the one that the user's gateway is asked with."""
    return {name: value for name, value in body.config.items() if name != "gatewayToken"}


async def _reserve(
    up: Clients, order: Order[NoQuery, ProvisionAgentBody], standing: Standing, agent: NewAgent
) -> None:
    limit = ADMIN_AGENT_LIMIT if order.caller.is_admin else agent_limit(standing.plan)
    abandoned_before = order.now - timedelta(seconds=up.abandoned_after)
    taken = await up.user_store.reserve_agent(agent, limit=limit, now=order.now, abandoned_before=abandoned_before)
    if taken is not None:
        raise Refused(
            429,
            "Agent limit reached for your plan",
            fields={"current": taken, "limit": limit},
            retry_after=_LIMIT_RETRY_SECONDS,
        )


async def _finish(
    up: Clients, order: Order[NoQuery, ProvisionAgentBody], agent: NewAgent, url: str | None
) -> None:
    """Have the agent run. What fails here fails after the deployment, so that nothing of it may be repeated."""
    try:
        in_time = await up.user_store.finish_agent(
            agent.id, agent.user_id, status="running", websocket_url=url, now=order.now
        )
    except UpstreamFailure as failure:
        raise UpstreamFailure(failure.upstream, failure.reason, unsafe=True) from failure
    if not in_time:  # given up meanwhile: its place may be taken
        raise UpstreamFailure("gateway", Reason.TIMEOUT, unsafe=True)


async def _give_up(up: Clients, order: Order[NoQuery, ProvisionAgentBody], agent: NewAgent) -> None:
    try:
        await up.user_store.finish_agent(
            agent.id, agent.user_id, status="error", websocket_url=None, now=order.now
        )
    except UpstreamFailure as failure:
        # The caller is told why the deployment failed; the row is found abandoned when the user looks next.
        _log.warning("agent left in provisioning", agent=agent.id, failure=str(failure))


def _deploy_order(agent: NewAgent, order: Order[NoQuery, ProvisionAgentBody]) -> DeployOrder:
    skills = order.body.config.get("skills")
    return DeployOrder(
        agent_id=agent.id,
        user_id=agent.user_id,
        name=agent.name,
        model=agent.model,
        config=_config(order.body),
        skills=[skill for skill in skills if isinstance(skill, str)] if isinstance(skills, list) else [],
        timestamp=iso_milliseconds(order.now),
    )


PROVISION = Action(
    "agents.provision",
    method="POST",
    path="/api/agents/provision",
    document="004",
    query=NoQuery,
    body=ProvisionAgentBody,
    answer=provisioning.ProvisionAnswer,
    access=Access.SESSION,
    asks=("user_store", "gateway"),
    perform=provision,
    changes=CHANGES,
    failed="Failed to provision agent",
    status=201,
    quota=Quota("deployments_per_minute", by="user"),
    once=True,
)

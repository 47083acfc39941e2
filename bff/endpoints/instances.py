"""A user's agent instance (document 004, "Get instance details", "stats" and "Get agent gateway token")."""

from typing import Final

from bff.endpoints.owned import INSTANCE, InstanceQuery, actor
from bff.figures.subscription import plan_name
from bff.plans import Access, Ask, Got, Plan, optional, required
from contracts import instances

BACKEND_DOWN: Final = (502, "Backend service unavailable")

_UNKNOWN: Final = "unknown"

BACKEND_AGENT = required("backend", lambda up, ask: up.backend.agent(actor(ask), ask.query.instance_id))
# Only the version is taken of it here, for which the document knows no error.
VERSION = optional(
    "backend",
    lambda up, ask: up.backend.agent(actor(ask), ask.query.instance_id),
    otherwise=None,
    stands_in="version unknown",
)
STATS = required("backend", lambda up, ask: up.backend.instance_stats(actor(ask), ask.query.instance_id))
TOKEN = required("backend", lambda up, ask: up.backend.token(actor(ask), ask.query.instance_id))


def running(status: str) -> str:
    """Return the status as instance answers say it: the backend calls a running container ``active``."""
    return "running" if status == "active" else status


def instance(ask: Ask[InstanceQuery], got: Got) -> instances.Instance:
    found = got[BACKEND_AGENT]
    return instances.Instance(
        user_id=ask.query.instance_id,
        status=running(found.status),
        started_at=found.started_at,
        subdomain=found.subdomain,
        url=found.url,
        plan=plan_name(ask.subject.plan),
        openclaw_version=found.openclaw_version or _UNKNOWN,
    )


def instance_stats(ask: Ask[InstanceQuery], got: Got) -> instances.InstanceStats:
    stats, agent = got[STATS], got[VERSION]
    return instances.InstanceStats(
        user_id=ask.query.instance_id,
        cpu=stats.cpu,
        memory=stats.memory.partition(" / ")[0],
        status=running(stats.status),
        plan=plan_name(ask.subject.plan),
        openclaw_version=(agent and agent.openclaw_version) or _UNKNOWN,
    )


def token(_ask: Ask[InstanceQuery], got: Got) -> instances.InstanceToken:
    return instances.InstanceToken(token=got[TOKEN])


DETAILS = Plan(
    "instance.details",
    path="/api/instance/{instance_id}",
    document="004",
    query=InstanceQuery,
    answer=instances.Instance,
    access=Access.OWNER,
    subject=INSTANCE,
    sources=(BACKEND_AGENT,),
    merge=instance,
    failed="Failed to fetch instance",
    failed_by={"backend": BACKEND_DOWN},
)

STATISTICS = Plan(
    "instance.stats",
    path="/api/instance/{instance_id}/stats",
    document="004",
    query=InstanceQuery,
    answer=instances.InstanceStats,
    access=Access.OWNER,
    subject=INSTANCE,
    sources=(STATS, VERSION),
    merge=instance_stats,
    failed="Failed to fetch instance stats",
    failed_by={"backend": BACKEND_DOWN},
)

GATEWAY_TOKEN = Plan(
    "instance.token",
    path="/api/instance/{instance_id}/token",
    document="004",
    query=InstanceQuery,
    answer=instances.InstanceToken,
    access=Access.OWNER,
    subject=INSTANCE,
    sources=(TOKEN,),
    merge=token,
    failed="Failed to get token",
    failed_by={"backend": BACKEND_DOWN},
    secret=True,
)

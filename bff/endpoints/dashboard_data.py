"""Dashboard data (document 000, "Dashboard data"): the user, the user's agent, and whether both can be reached."""

from bff.endpoints.sources import GATEWAY
from bff.endpoints.users import existing
from bff.figures.subscription import plan_name
from bff.plans import Access, Ask, Got, Keep, NoQuery, Plan, Scope, required
from contracts import dashboard
from upstreams.failure import UpstreamFailure
from upstreams.user_store import Dashboard

USER = required("user_store", lambda up, ask: up.user_store.dashboard(ask.caller.user_id))

# What describes one response is written as this and replaced when it is sent. Inside a JSON string the quotes
# would be escaped, so no text of a user can look like it.
_UNSTAMPED = b'"meta":{"responseTime":0,"cached":false,'


def data(ask: Ask[NoQuery], got: Got) -> dashboard.DashboardData:
    user = existing(got[USER])
    return dashboard.DashboardData(
        user_id=user.user_id,
        credits=user.credits,
        plan=plan_name(user.plan),
        openclaw_url=user.openclaw_url,
        openclaw_instance_id=user.openclaw_instance_id or (user.agent.id if user.agent else None),
        gateway_token=user.gateway_token,
        agent=_agent(user),
        health=_health(got.failure(GATEWAY)),
        meta=dashboard.Meta(response_time=0, cached=False, timestamp=ask.now),
    )


def _agent(user: Dashboard) -> dashboard.Agent | None:
    agent = user.agent
    if agent is None:
        return None
    return dashboard.Agent(id=agent.id, status=agent.status, name=agent.name, tier=plan_name(agent.tier))


def _health(failure: UpstreamFailure | None) -> dashboard.Health:
    database = dashboard.Check(name="Database", status="ok")
    if failure is None:
        return dashboard.Health(status="healthy", checks=[database, dashboard.Check(name="Gateway", status="ok")])
    gateway = dashboard.Check(name="Gateway", status="down", detail=failure.reason)
    return dashboard.Health(status="degraded", checks=[database, gateway])


def _stamp(body: bytes, milliseconds: int, cached: bool) -> bytes:
    stamped = b'"meta":{"responseTime":%d,"cached":%s,' % (milliseconds, b"true" if cached else b"false")
    return body.replace(_UNSTAMPED, stamped, 1)


def _failed_fields(failure: UpstreamFailure, milliseconds: int) -> dict[str, object]:
    return {"details": str(failure), "responseTime": milliseconds}


DATA = Plan(
    "dashboard.data",
    path="/api/dashboard/data",
    document="000",
    query=NoQuery,
    answer=dashboard.DashboardData,
    access=Access.SESSION,
    shared_by=Scope.USER,
    keep=Keep(fresh=5, stale=30, on_error=600),
    sources=(USER, GATEWAY),
    merge=data,
    failed="Failed to fetch dashboard data",
    failed_fields=_failed_fields,
    secret=True,
    stamp=_stamp,
)

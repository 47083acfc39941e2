"""Dashboard health (contract.md, "health"): the monitored services, for everyone."""

from collections.abc import Sequence

from bff.endpoints.sources import SERVICES
from bff.plans import Access, Ask, Got, Keep, NoQuery, Plan, Scope
from contracts import dashboard
from upstreams.services import ServiceStatus


def service_health(services: Sequence[ServiceStatus]) -> list[dashboard.ServiceHealth]:
    return [dashboard.ServiceHealth(name=each.name, status=each.status, detail=each.detail) for each in services]


def health(ask: Ask[NoQuery], got: Got) -> dashboard.PlatformHealth:
    return dashboard.PlatformHealth(services=service_health(got[SERVICES]), timestamp=ask.now)


HEALTH = Plan(
    "dashboard.health",
    path="/api/dashboard/health",
    document="000",
    query=NoQuery,
    answer=dashboard.PlatformHealth,
    access=Access.ANYONE,
    shared_by=Scope.EVERYONE,
    keep=Keep(fresh=30, stale=60, on_error=300),
    sources=(SERVICES,),
    merge=health,
    failed="Failed to fetch health",
    deadline=4.5,
    cache_control="max-age=30, stale-while-revalidate=60",
)

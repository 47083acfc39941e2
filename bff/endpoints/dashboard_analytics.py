"""Dashboard analytics (document 000, "Dashboard analytics"): trends, channels, most installed skills."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Self

from bff.endpoints.sources import GATEWAY
from bff.endpoints.users import existing
from bff.figures.channels import channels
from bff.figures.trend import range_days, trend
from bff.plans import Access, Ask, Got, Keep, Plan, Scope, optional, required
from contracts import dashboard
from upstreams.sessions import Session
from upstreams.user_store import Inventory


class AnalyticsQuery(NamedTuple):
    days: int

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(range_days(parameters.get("range")))


def _since(ask: Ask[AnalyticsQuery]) -> datetime:
    return ask.now - timedelta(days=ask.query.days)


_NO_SESSIONS: tuple[Session, ...] = ()

INVENTORY = required(
    "user_store", lambda up, ask: up.user_store.inventory(ask.caller.user_id, since=_since(ask), until=ask.now)
)
SESSIONS = optional(
    "sessions",
    lambda up, ask: up.sessions.list(ask.caller.account),
    otherwise=_NO_SESSIONS,
    stands_in="zero activity",
)


def analytics(ask: Ask[AnalyticsQuery], got: Got) -> dashboard.Analytics:
    inventory = existing(got[INVENTORY])
    activity = channels(got[SESSIONS], gateway_up=got[GATEWAY])
    return dashboard.Analytics(
        overview=_overview(inventory, activity),
        trend=trend(inventory.trend, _since(ask), ask.now),
        top_skills=[dashboard.TopSkill(name=name, installs=installs) for name, installs in inventory.top_skills],
        channels=activity,
        source=dashboard.Sources(
            gateway="unreachable" if got.failure(GATEWAY) else "live",
            sessions="unavailable" if got.failure(SESSIONS) else "live",
        ),
    )


def _overview(inventory: Inventory, activity: Sequence[dashboard.Channel]) -> dashboard.Overview:
    return dashboard.Overview(
        deployed_agents=inventory.agents_total,
        live_agents=inventory.agents_live,
        installed_skills=inventory.skills_enabled,
        scheduled_tasks=inventory.tasks_total,
        connected_channels=sum(channel.status == "connected" for channel in activity),
        channel_messages=sum(channel.messages for channel in activity),
    )


ANALYTICS = Plan(
    "dashboard.analytics",
    path="/api/dashboard/analytics",
    document="000",
    query=AnalyticsQuery,
    answer=dashboard.Analytics,
    access=Access.SESSION,
    shared_by=Scope.USER,
    keep=Keep(fresh=30, stale=300, on_error=3600),
    sources=(INVENTORY, GATEWAY, SESSIONS),
    merge=analytics,
    failed="Failed to fetch analytics",
)

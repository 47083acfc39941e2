"""Admin summary (document 002): the platform's services, trials and agents, for administrators."""

import math
from datetime import datetime, timedelta

from bff.endpoints.dashboard_health import service_health
from bff.endpoints.sources import SERVICES
from bff.plans import Access, Ask, Got, Keep, NoQuery, Plan, Scope, required
from contracts import admin_summary as document

PLATFORM = required("user_store", lambda up, ask: up.user_store.summary(ask.now))


def summary(ask: Ask[NoQuery], got: Got) -> document.AdminSummary:
    platform = got[PLATFORM]
    return document.AdminSummary(
        service_health=service_health(got[SERVICES]),
        trial=document.Trials(
            active=platform.active_trials,
            expiring_soon=[
                document.ExpiringTrial(
                    id=trial.id,
                    email=trial.email,
                    ends_at=trial.ends_at,
                    days_left=_days_left(trial.ends_at, ask.now),
                )
                for trial in platform.expiring
            ],
        ),
        agents=document.AgentSummary(
            totals=platform.totals,
            recent_errors=[
                document.AgentError(
                    id=agent.id,
                    name=agent.name,
                    user_id=agent.user_id,
                    updated_at=agent.updated_at,
                    status="error",
                )
                for agent in platform.recent_errors
            ],
        ),
        timestamp=ask.now,
    )


def _days_left(ends_at: datetime, now: datetime) -> int:
    return math.ceil((ends_at - now) / timedelta(days=1))


SUMMARY = Plan(
    "admin.summary",
    path="/api/admin/summary",
    document="002",
    query=NoQuery,
    answer=document.AdminSummary,
    access=Access.ADMIN,
    shared_by=Scope.ADMINS,
    keep=Keep(fresh=15, stale=60, on_error=300),
    sources=(PLATFORM, SERVICES),
    merge=summary,
    failed="Failed to fetch admin summary",
    deadline=4.5,
)

"""Dashboard stats (document 000, "Dashboard stats"): how many agents, skills and tasks a user has."""

from datetime import datetime, time

from bff.endpoints.users import existing
from bff.figures.subscription import agent_limit
from bff.plans import Access, Ask, Got, Keep, NoQuery, Plan, Scope, required
from contracts import dashboard


def _today(now: datetime) -> datetime:
    return datetime.combine(now, time.min, now.tzinfo)


COUNTS = required("user_store", lambda up, ask: up.user_store.counts(ask.caller.user_id, today=_today(ask.now)))


def stats(_ask: Ask[NoQuery], got: Got) -> dashboard.Stats:
    counts = existing(got[COUNTS])
    return dashboard.Stats(
        agents=dashboard.AgentCounts(
            active=counts.active,
            total=counts.total,
            limit=agent_limit(counts.plan),
            new_today=counts.new_today,
        ),
        skills=dashboard.SkillCounts(installed=counts.skills_installed),
        tasks=dashboard.TaskCounts(total=counts.tasks_total),
    )


ZEROED = dashboard.Stats(
    agents=dashboard.AgentCounts(active=0, total=0, limit=1, new_today=0),
    skills=dashboard.SkillCounts(installed=0),
    tasks=dashboard.TaskCounts(total=0),
)

STATS = Plan(
    "dashboard.stats",
    path="/api/dashboard/stats",
    document="000",
    query=NoQuery,
    answer=dashboard.Stats,
    access=Access.SESSION,
    shared_by=Scope.USER,
    keep=Keep(fresh=10, stale=60, on_error=0),
    sources=(COUNTS,),
    merge=stats,
    failed="Failed to fetch stats",
    fallback=ZEROED,
)

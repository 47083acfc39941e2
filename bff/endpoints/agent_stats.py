"""What an agent's container uses (document 004, "Get agent stats"): live, or the documented mock."""

from bff.endpoints.owned import AGENT, AgentQuery, actor
from bff.figures.mock_stats import mock_stats
from bff.plans import Access, Ask, Got, Plan, optional
from contracts import agents

STATS = optional(
    "backend",
    lambda up, ask: up.backend.instance_stats(actor(ask), ask.query.agent_id),
    otherwise=None,
    stands_in="mock figures",
)


def stats(ask: Ask[AgentQuery], got: Got) -> agents.StatsAnswer:
    live = got[STATS]
    if live is None:
        return agents.StatsAnswer(stats=mock_stats(ask.query.agent_id, ask.now), status="mock")
    return agents.StatsAnswer(
        stats=agents.LiveStats(
            agent_id=ask.query.agent_id,
            cpu=live.cpu,
            memory=live.memory,
            memory_percent=live.memory_percent,
            network=live.network,
            uptime=live.uptime,
            uptime_formatted=live.uptime_formatted,
            status=live.status,
            pids=live.pids,
        ),
        status="ok",
    )


GET_STATS = Plan(
    "agents.stats",
    path="/api/agents/{agent_id}/stats",
    document="004",
    query=AgentQuery,
    answer=agents.StatsAnswer,
    access=Access.SESSION,
    subject=AGENT,
    sources=(STATS,),
    merge=stats,
    failed="Failed to fetch agent stats",
)

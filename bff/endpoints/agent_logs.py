"""An agent's log (document 004, "Get agent logs")."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from bff.endpoints.owned import AGENT, actor
from bff.figures.paging import limit_of
from bff.plans import Access, Ask, Got, Plan, required
from contracts import agents

_LEVEL: Final = re.compile(r"[A-Za-z]{1,16}")


class LogsQuery(NamedTuple):
    agent_id: str
    limit: int
    level: str | None

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        level = parameters.get("level", "")
        return cls(
            parameters["agent_id"], limit_of(parameters), level.lower() if _LEVEL.fullmatch(level) else None
        )


LOGS = required(
    "backend",
    lambda up, ask: up.backend.logs(actor(ask), ask.query.agent_id, ask.query.limit, ask.query.level),
)


def logs(ask: Ask[LogsQuery], got: Got) -> agents.Logs:
    page, level = got[LOGS], ask.query.level
    entries = [
        agents.LogEntry(
            id=entry.id,
            timestamp=entry.timestamp,
            level=entry.level,
            message=entry.message,
            source=entry.source,
            agent_id=ask.query.agent_id,
        )
        for entry in page.logs
        if level is None or entry.level.lower() == level
    ]
    return agents.Logs(logs=entries[: ask.query.limit], total=page.total, limit=ask.query.limit)


GET_LOGS = Plan(
    "agents.logs",
    path="/api/agents/{agent_id}/logs",
    document="004",
    query=LogsQuery,
    answer=agents.Logs,
    access=Access.SESSION,
    subject=AGENT,
    sources=(LOGS,),
    merge=logs,
    failed="Failed to fetch agent logs",
    missing="Agent not found",
)

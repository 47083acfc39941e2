"""AsterAgents statistics (document 001): what an organization's members said and were told, by several filters."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Self

from bff.clients import Clients
from bff.plans import Access, Ask, Caller, Got, Keep, Member, Plan, Refused, Shared, Subject, required
from contracts import stats
from upstreams.metrics import Selection


class StatsQuery(NamedTuple):
    """``since`` and ``until`` are None when they are missing or no times."""

    since: datetime | None
    until: datetime | None
    all_in_org: bool
    agent_id: str | None
    user_id: str | None
    metadata_key: str | None
    metadata_value: str | None

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(
            _moment(parameters.get("from", "")),
            _moment(parameters.get("to", "")),
            parameters.get("allInOrg", "").lower() == "true",
            *(parameters.get(name) or None for name in ("agentId", "userId", "metadataKey", "metadataValue")),
        )


def _moment(text: str) -> datetime | None:
    """Return the ISO 8601 time, in UTC also when it does not say so."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def permit(caller: Caller, query: StatsQuery) -> None:
    """Raise Refused for a period that is none, and for figures that are not the caller's to see."""
    if query.since is None or query.until is None:
        raise Refused(400, "from and to are required, as ISO 8601 times")
    if query.since > query.until:
        raise Refused(400, "from must not be after to")
    others = query.user_id is not None and query.user_id != caller.user_id
    if (query.all_in_org and not caller.is_admin) or (others and not query.all_in_org):
        raise Refused(403, "Forbidden")


async def _selection(up: Clients, ask: Ask[StatsQuery]) -> Selection:
    """Return which conversations count. Metadata is only ever searched inside the caller's organization."""
    caller, query = ask.caller, ask.query
    assert isinstance(caller, Member)
    assert query.since is not None
    assert query.until is not None
    users = None if query.user_id is None else {query.user_id}
    if not query.all_in_org:
        users = {caller.user_id}
    if query.metadata_key is not None or query.metadata_value is not None:
        found = await up.memberships.matching(caller.organization, query.metadata_key, query.metadata_value)
        users = found if users is None else users & found
    chosen = None if users is None else tuple(sorted(users))
    return Selection(caller.organization, query.since, query.until, chosen, query.agent_id)


def _range(ask: Ask[StatsQuery]) -> str:
    chosen: Selection = ask.subject
    return json.dumps(["knowledge base", chosen.org_id, chosen.since.isoformat(), chosen.until.isoformat()])


CONVERSATIONS = required("metrics", lambda up, ask: up.metrics.conversations(ask.subject))
FEEDBACK = required("metrics", lambda up, ask: up.metrics.feedback(ask.subject))
KNOWLEDGE_BASE = required(
    "metrics",
    lambda up, ask: up.metrics.knowledge_base(ask.subject.org_id, ask.subject.since, ask.subject.until),
    shared=Shared(60, by=lambda _up, ask: _range(ask)),
)


def usage_stats(_ask: Ask[StatsQuery], got: Got) -> stats.UsageStats:
    said, rated, known = got[CONVERSATIONS], got[FEEDBACK], got[KNOWLEDGE_BASE]
    return stats.UsageStats(
        conversation_count=said.conversation_count,
        message_count=said.message_count,
        tool_calls=said.tool_calls,
        total_tokens=said.total_tokens,
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        unique_users=said.unique_users,
        unique_agents=said.unique_agents,
        total_feedback=rated.total_feedback,
        total_helpful=rated.total_helpful,
        total_not_helpful=rated.total_not_helpful,
        kb_file_count=known.kb_file_count,
        kb_count=known.kb_count,
        kb_extract_total_tokens=known.kb_extract_total_tokens,
        kb_extract_input_tokens=known.kb_extract_input_tokens,
        kb_extract_output_tokens=known.kb_extract_output_tokens,
    )


GET_STATS = Plan(
    "dashboard.getStats",
    path="/api/dashboard/getStats",
    document="001",
    query=StatsQuery,
    answer=stats.UsageStats,
    access=Access.MEMBER,
    permit=permit,
    subject=Subject(_selection, refusal=(403, "Forbidden"), upstream="clerk"),
    keep=Keep(fresh=60, stale=300, on_error=3600),
    sources=(CONVERSATIONS, FEEDBACK, KNOWLEDGE_BASE),
    merge=usage_stats,
    deadline=5.0,
    failed="Internal Server Error",
)

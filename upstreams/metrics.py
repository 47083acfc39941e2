"""The metrics service: cost figures of a user, conversation and knowledge-base figures of an organization."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec

from upstreams.pipe import Address, Pipe, enabled

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Dollars = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Name = Annotated[str, msgspec.Meta(max_length=500)]


class AgentFigures(msgspec.Struct, frozen=True):
    """What one agent used in the period; ``cost`` in USD, without the plan."""

    name: Name
    tokens: Count = 0
    cost: Dollars = 0.0
    calls: Count = 0
    model: Name | None = None


class DayFigures(msgspec.Struct, frozen=True):
    """What one day used; ``cost`` in USD, without the plan."""

    cost: Dollars = 0.0
    tokens: Count = 0


class ModelFigures(msgspec.Struct, frozen=True):
    """What one model cost in the period, in USD."""

    model: Name
    cost: Dollars = 0.0


class CostFigures(msgspec.Struct, frozen=True, rename="camel"):
    """Token and cost figures of a user's period. ``daily`` is oldest first and ends today; it may be short."""

    agents: Annotated[tuple[AgentFigures, ...], msgspec.Meta(max_length=20_000)] = ()
    daily: Annotated[tuple[DayFigures, ...], msgspec.Meta(max_length=400)] = ()
    model_breakdown: Annotated[tuple[ModelFigures, ...], msgspec.Meta(max_length=1_000)] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which conversations count: an organization's from ``since`` to ``until`` (aware, both included).

    Of them those of ``user_ids`` (None: everybody's; empty: nobody's) with ``agent_id`` (None: any agent).
    """

    org_id: str
    since: datetime
    until: datetime
    user_ids: tuple[str, ...] | None
    agent_id: str | None


class ConversationFigures(msgspec.Struct, frozen=True, rename="camel"):
    """``GET /api/metrics/conversations``."""

    conversation_count: Count
    message_count: Count
    tool_calls: Count
    total_tokens: Count
    input_tokens: Count
    output_tokens: Count
    unique_users: Count
    unique_agents: Count


class FeedbackFigures(msgspec.Struct, frozen=True, rename="camel"):
    """``GET /api/metrics/feedback``."""

    total_feedback: Count
    total_helpful: Count
    total_not_helpful: Count


class KnowledgeBaseFigures(msgspec.Struct, frozen=True, rename="camel"):
    """``GET /api/metrics/knowledge-base``."""

    kb_file_count: Count
    kb_count: Count
    kb_extract_total_tokens: Count
    kb_extract_input_tokens: Count
    kb_extract_output_tokens: Count


_NO_CONVERSATIONS: Final = ConversationFigures(0, 0, 0, 0, 0, 0, 0, 0)
_NO_FEEDBACK: Final = FeedbackFigures(0, 0, 0)

_MAX_USERS_IN_QUERY: Final = 200  # upstreams.md, "metrics"
_MAX_QUERY_CHARS: Final = 16 * 1024  # longer ones servers refuse
_MAX_BYTES: Final = 2 * 1024 * 1024
_MAX_TOTALS_BYTES: Final = 64 * 1024

_COST = msgspec.json.Decoder(CostFigures)
_CONVERSATIONS = msgspec.json.Decoder(ConversationFigures)
_FEEDBACK = msgspec.json.Decoder(FeedbackFigures)
_KNOWLEDGE_BASE = msgspec.json.Decoder(KnowledgeBaseFigures)


class Metrics:
    """The metrics service (upstreams.md, "metrics")."""

    def __init__(self, pipe: Pipe, address: Address | None, api_key: str | None) -> None:
        self._pipe = pipe
        self._address = address
        self._api_key = api_key

    async def cost(self, user_id: str, days: int) -> CostFigures:
        """Return the user's figures of the last ``days`` days, in USD. Raises UpstreamFailure."""
        return await self._pipe.get(
            enabled(self._address, self._pipe.upstream),
            "/api/metrics/cost",
            params={"userId": user_id, "days": days},
            bearer=self._api_key,
            into=_COST,
            max_bytes=_MAX_BYTES,
        )

    async def conversations(self, scope: Selection) -> ConversationFigures:
        """Return the figures of the selected conversations. Raises UpstreamFailure."""
        if scope.user_ids == ():
            return _NO_CONVERSATIONS
        return await self._selected("/api/metrics/conversations", scope, _CONVERSATIONS)

    async def feedback(self, scope: Selection) -> FeedbackFigures:
        """Return how the selected conversations were rated. Raises UpstreamFailure."""
        if scope.user_ids == ():
            return _NO_FEEDBACK
        return await self._selected("/api/metrics/feedback", scope, _FEEDBACK)

    async def knowledge_base(self, org_id: str, since: datetime, until: datetime) -> KnowledgeBaseFigures:
        """Return the figures of all the files that the organization had processed. Raises UpstreamFailure."""
        return await self._pipe.get(
            enabled(self._address, self._pipe.upstream),
            "/api/metrics/knowledge-base",
            params=_period(org_id, since, until),
            bearer=self._api_key,
            into=_KNOWLEDGE_BASE,
            max_bytes=_MAX_TOTALS_BYTES,
        )

    async def _selected(self, path: str, scope: Selection, into: msgspec.json.Decoder[T]) -> T:
        at = enabled(self._address, self._pipe.upstream)
        fields = _fields(scope)
        users = scope.user_ids or ()
        if len(users) > _MAX_USERS_IN_QUERY or len(urlencode(fields, doseq=True)) > _MAX_QUERY_CHARS:
            return await self._pipe.query(
                at,
                f"{path}/query",
                content=msgspec.json.encode(fields),
                bearer=self._api_key,
                into=into,
                max_bytes=_MAX_TOTALS_BYTES,
            )
        return await self._pipe.get(
            at, path, params=fields, bearer=self._api_key, into=into, max_bytes=_MAX_TOTALS_BYTES
        )


def _fields(scope: Selection) -> dict[str, Any]:
    fields: dict[str, Any] = dict(_period(scope.org_id, scope.since, scope.until))
    if scope.user_ids is not None:
        fields["userId"] = scope.user_ids
    if scope.agent_id is not None:
        fields["agentId"] = scope.agent_id
    return fields


def _period(org_id: str, since: datetime, until: datetime) -> dict[str, str]:
    return {"orgId": org_id, "from": _iso(since), "to": _iso(until)}


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

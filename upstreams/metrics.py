"""The metrics service: token, call and cost figures per user."""

from typing import Annotated

import msgspec

from upstreams.pipe import Address, Pipe, enabled

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


_MAX_BYTES = 2 * 1024 * 1024
_COST = msgspec.json.Decoder(CostFigures)


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

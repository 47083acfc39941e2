"""Dashboard cost (document 000, "Dashboard cost"): the plan's cost and the AI usage of a period."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from bff.endpoints.users import existing
from bff.figures.cost import Period, cost
from bff.plans import Access, Ask, Got, Keep, Plan, Scope, optional, required
from contracts import dashboard
from upstreams.metrics import CostFigures

_PERIODS = frozenset({"7d", "30d", "mtd"})


class CostQuery(NamedTuple):
    period: str

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        asked = parameters.get("period", "")
        return cls(asked if asked in _PERIODS else "7d")


def _period(ask: Ask[CostQuery]) -> Period:
    return Period.of(ask.query.period, ask.now.date())


_NO_FIGURES: CostFigures | None = None

SUBSCRIPTION = required("user_store", lambda up, ask: up.user_store.subscription(ask.caller.user_id))
METRICS = optional(
    "metrics",
    lambda up, ask: up.metrics.cost(ask.caller.user_id, _period(ask).days),
    otherwise=_NO_FIGURES,
    stands_in="the plan's cost alone",
)


def dashboard_cost(ask: Ask[CostQuery], got: Got) -> dashboard.Cost:
    return cost(_period(ask), existing(got[SUBSCRIPTION]), got[METRICS])


COST = Plan(
    "dashboard.cost",
    path="/api/dashboard/cost",
    document="000",
    query=CostQuery,
    answer=dashboard.Cost,
    access=Access.SESSION,
    shared_by=Scope.USER,
    keep=Keep(fresh=60, stale=600, on_error=3600),
    sources=(SUBSCRIPTION, METRICS),
    merge=dashboard_cost,
    failed="Failed to fetch cost data",
)

"""The cost answer: a plan's price and the metrics service's figures (document 000, "Dashboard cost").

Every sum is exact until it is shown, and the shown parts of a breakdown add up to its total to the cent.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from bff.figures.money import cents, exact, half_up, shares
from bff.figures.subscription import monthly_cost, plan_name
from bff.figures.trend import MONTHS
from contracts.dashboard import AgentCost, Cost, CostSummary, DailyCost, ModelCost
from upstreams.metrics import AgentFigures, CostFigures, DayFigures, ModelFigures
from upstreams.user_store import LiveAgent, Subscription


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period of ``days`` days that ends with ``today``."""

    name: Literal["7d", "30d", "mtd"]
    days: int
    today: date

    @classmethod
    def of(cls, text: str | None, today: date) -> "Period":
        """Return the period that the query's ``period`` asks for; anything but an accepted value is ``7d``."""
        if text == "30d":
            return cls("30d", 30, today)
        if text == "mtd":
            return cls("mtd", today.day, today)
        return cls("7d", 7, today)


def cost(period: Period, subscription: Subscription, metrics: CostFigures | None) -> Cost:
    """Return the period's cost in USD. Without ``metrics`` it is the plan's, and nothing was used."""
    plan = plan_name(subscription.plan)
    figures = metrics or CostFigures()
    plan_day = Fraction(monthly_cost(plan), 30)
    plan_cost = plan_day * period.days
    return Cost(
        period=period.name,
        summary=_summary(plan_cost, figures.agents),
        agents=_agents(plan, plan_cost, subscription.live_agents, figures.agents),
        daily=_daily(period, plan_day, figures.daily),
        model_breakdown=_models(plan, plan_cost, figures.model_breakdown),
        is_mock_data=False,
        plan=plan,
        plan_monthly_cost=monthly_cost(plan),
        agent_count=subscription.agent_count,
        active_agents=subscription.active_agents,
    )


def _summary(plan_cost: Fraction, rows: Sequence[AgentFigures]) -> CostSummary:
    reported = sum((exact(row.cost) for row in rows), Fraction())
    calls = sum(row.calls for row in rows)
    return CostSummary(
        total_cost=float(half_up(plan_cost + reported, 2)),
        total_tokens=sum(row.tokens for row in rows),
        total_calls=calls,
        avg_cost_per_call=_per_call(reported, calls),
    )


def _per_call(reported: Fraction, calls: int) -> float:
    return float(half_up(reported / calls, 4)) if calls and reported else 0.0


def _agents(
    plan: str, plan_cost: Fraction, live: Sequence[LiveAgent], rows: Sequence[AgentFigures]
) -> list[AgentCost]:
    matched, others = _match(live, rows)
    share = plan_cost / len(live) if live else Fraction()
    unattributed = Fraction() if live else plan_cost
    parts = [share + exact(row.cost) if row.cost else share for row in matched] + [
        exact(row.cost) for row in others
    ]
    names = [name for _, name in live] + [row.name for row in others]
    # The plan's unattributed cost is rounded along, so that it and the listed ones make up the total.
    amounts = cents([*parts, unattributed])[:-1]
    return [
        _agent(name, row, amount, plan)
        for name, row, amount in zip(names, [*matched, *others], amounts, strict=True)
    ]


def _agent(name: str, row: AgentFigures, amount: Decimal, plan: str) -> AgentCost:
    return AgentCost(
        name=name,
        tokens=row.tokens,
        cost=float(amount),
        calls=row.calls,
        avg_cost_per_call=_per_call(exact(row.cost), row.calls),
        model=row.model or plan,
    )


def _match(
    live: Sequence[LiveAgent], rows: Sequence[AgentFigures]
) -> tuple[list[AgentFigures], list[AgentFigures]]:
    """Return a row for every live agent (zeros where none is reported) and the rows that are left.

    A row names its agent by id or by name. Ids are matched first: a name may be anything, also another's id.
    """
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for at, row in enumerate(rows):
        waiting[row.name].append(at)
    taken: dict[int, int] = {}
    for named in (0, 1):
        for at, agent in enumerate(live):
            if at not in taken and (rest := waiting.get(agent[named])):
                taken[at] = rest.popleft()
    left = set(range(len(rows))).difference(taken.values())
    nothing = AgentFigures(name="")
    matched = [rows[taken[at]] if at in taken else nothing for at in range(len(live))]
    return matched, [rows[at] for at in sorted(left)]


def _daily(period: Period, plan_day: Fraction, reported: tuple[DayFigures, ...]) -> list[DailyCost]:
    newest = reported[-period.days :]
    days = (DayFigures(),) * (period.days - len(newest)) + newest
    amounts = cents([plan_day + exact(day.cost) for day in days])
    first = period.today - timedelta(days=period.days - 1)
    return [
        DailyCost(date=_label(first + timedelta(days=at)), cost=float(amount), tokens=day.tokens)
        for at, (day, amount) in enumerate(zip(days, amounts, strict=True))
    ]


def _label(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}"


def _models(plan: str, plan_cost: Fraction, reported: Sequence[ModelFigures]) -> list[ModelCost]:
    costs: defaultdict[str, Fraction] = defaultdict(Fraction, {plan: plan_cost})
    for row in reported:
        costs[row.model] += exact(row.cost)
    if not any(costs.values()):
        return [ModelCost(model=plan, percent=100.0, cost=0.0)]
    models = sorted(costs.items(), key=lambda model: (-model[1], model[0]))
    parts = [part for _, part in models]
    return [
        ModelCost(model=name, percent=float(percent), cost=float(amount))
        for (name, _), percent, amount in zip(models, shares(parts), cents(parts), strict=True)
    ]

"""The cost answer: what is shown adds up, whatever the metrics service says."""

import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.figures.cost import Period, cost
from bff.figures.money import exact, half_up
from bff.figures.subscription import monthly_cost
from contracts.dashboard import AgentCost, CostSummary
from upstreams.metrics import AgentFigures, CostFigures, DayFigures, ModelFigures
from upstreams.user_store import LiveAgent, Subscription

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
TODAY = date(2026, 4, 4)
WEEK = Period.of("7d", TODAY)


def subscribed(plan="solo", *live):
    """Return a subscription whose live agents are given as ``id/name``."""
    agents = tuple(LiveAgent(*agent.split("/")) for agent in live)
    return Subscription(plan=plan, agent_count=2, active_agents=len(agents), live_agents=agents)


def metrics(**fields):
    return msgspec.json.decode(json.dumps(fields), type=CostFigures)


def row(name, dollars=0.0, calls=0, tokens=0, model=None):
    return {"name": name, "cost": dollars, "calls": calls, "tokens": tokens, "model": model}


def listed(answer):
    return [(agent.name, agent.cost) for agent in answer.agents]


def to_the_cent(amounts):
    return sum(Decimal(repr(amount)) for amount in amounts)


@pytest.mark.parametrize(
    ("text", "today", "name", "days"),
    [
        ("7d", TODAY, "7d", 7),
        ("30d", TODAY, "30d", 30),
        ("mtd", TODAY, "mtd", 4),
        ("mtd", date(2026, 5, 1), "mtd", 1),
        ("mtd", date(2026, 3, 31), "mtd", 31),
        *[(other, TODAY, "7d", 7) for other in (None, "", "7D", " 7d", "90d", "month")],
    ],
)
def test_a_period_has_a_length(text, today, name, days):
    period = Period.of(text, today)
    assert (period.name, period.days, period.today) == (name, days, today)


def test_the_plan_alone_with_metrics_down():
    answer = json.loads(cost(WEEK, subscribed("solo", "agent_1/my-agent"), None).model_dump_json(by_alias=True))
    nothing_used = {"tokens": 0, "calls": 0, "avgCostPerCall": 0.0}
    assert answer == {
        "period": "7d",
        "summary": {"totalCost": 6.77, "totalTokens": 0, "totalCalls": 0, "avgCostPerCall": 0.0},
        "agents": [{"name": "my-agent", "cost": 6.77, "model": "solo", **nothing_used}],
        "daily": [
            {"date": "Mar 29", "cost": 0.97, "tokens": 0},
            {"date": "Mar 30", "cost": 0.97, "tokens": 0},
            {"date": "Mar 31", "cost": 0.97, "tokens": 0},
            {"date": "Apr 1", "cost": 0.97, "tokens": 0},
            {"date": "Apr 2", "cost": 0.97, "tokens": 0},
            {"date": "Apr 3", "cost": 0.96, "tokens": 0},
            {"date": "Apr 4", "cost": 0.96, "tokens": 0},
        ],
        "modelBreakdown": [{"model": "solo", "percent": 100.0, "cost": 6.77}],
        "isMockData": False,
        "plan": "solo",
        "planMonthlyCost": 29,
        "agentCount": 2,
        "activeAgents": 1,
    }


def test_the_plan_and_what_was_used():
    figures = metrics(
        agents=[row("my-agent", 0.35, 80, 25000, "gpt-5"), row("agent_2", 0.154, 40, 20000)],
        daily=[{"date": "2026-04-03", "cost": 0.3, "tokens": 30000}, {"cost": 0.204, "tokens": 15000}],
        modelBreakdown=[{"model": "gpt-5", "percent": 69, "cost": 0.35}, {"model": "claude", "cost": 0.154}],
    )
    answer = cost(WEEK, subscribed("solo", "agent_1/my-agent", "agent_2/other"), figures)

    assert answer.summary == CostSummary(
        total_cost=7.27, total_tokens=45000, total_calls=120, avg_cost_per_call=0.0042
    )
    assert answer.agents == [
        AgentCost(name="my-agent", tokens=25000, cost=3.73, calls=80, avg_cost_per_call=0.0044, model="gpt-5"),
        AgentCost(name="other", tokens=20000, cost=3.54, calls=40, avg_cost_per_call=0.0039, model="solo"),
    ]
    assert [(day.date, day.cost, day.tokens) for day in answer.daily[-3:]] == [
        ("Apr 2", 0.96, 0),
        ("Apr 3", 1.26, 30000),
        ("Apr 4", 1.17, 15000),
    ]
    assert to_the_cent(day.cost for day in answer.daily) == Decimal("7.27")
    assert [(model.model, model.percent, model.cost) for model in answer.model_breakdown] == [
        ("solo", 93.1, 6.77),
        ("gpt-5", 4.8, 0.35),
        ("claude", 2.1, 0.15),
    ]


@pytest.mark.parametrize(
    ("plan", "shown", "monthly", "week"),
    [
        (None, "free", 0, 0.0),
        ("free", "free", 0, 0.0),
        ("platinum", "platinum", 0, 0.0),
        ("Underground", "Underground", 29, 6.77),
        ("pro", "pro", 69, 16.1),
        ("label", "label", 149, 34.77),
        ("network", "network", 499, 116.43),
    ],
)
@pytest.mark.parametrize("figures", [None, CostFigures()], ids=["metrics down", "nothing used"])
def test_a_plan_alone(plan, shown, monthly, week, figures):
    answer = cost(WEEK, subscribed(plan), figures)
    assert (answer.plan, answer.plan_monthly_cost, answer.summary.total_cost) == (shown, monthly, week)
    assert [(model.model, model.percent, model.cost) for model in answer.model_breakdown] == [(shown, 100.0, week)]
    assert answer.agents == []


@pytest.mark.parametrize(
    ("live", "rows", "shown"),
    [
        pytest.param(["a/bot"], [row("a", 1)], [("bot", 30.0)], id="by id"),
        pytest.param(["a/bot"], [row("bot", 1)], [("bot", 30.0)], id="by name"),
        pytest.param(["a/bot"], [row("Bot", 1)], [("bot", 29.0), ("Bot", 1.0)], id="names match exactly"),
        pytest.param(
            ["x/bob", "y/x"], [row("x", 1)], [("bob", 15.5), ("x", 14.5)], id="an id before a name that equals it"
        ),
        pytest.param(
            ["y/x", "x/bob"], [row("x", 1)], [("x", 14.5), ("bob", 15.5)], id="whichever agent comes first"
        ),
        pytest.param(
            ["a/bot"], [row("bot", 1), row("bot", 2)], [("bot", 30.0), ("bot", 2.0)], id="an agent takes one row"
        ),
        pytest.param(
            ["a/bot"], [row("bot", 1), row("a", 2)], [("bot", 31.0), ("bot", 1.0)], id="the one with its id"
        ),
        pytest.param(
            ["a/bot", "b/bot"], [row("bot", 1)], [("bot", 15.5), ("bot", 14.5)], id="a row goes to one agent"
        ),
        pytest.param(
            ["a/bot", "b/bot"], [row("bot", 1), row("bot", 2)], [("bot", 15.5), ("bot", 16.5)], id="each its own"
        ),
        pytest.param(
            ["a/bot"], [row("gone", 3), row("old", 2)], [("bot", 29.0), ("gone", 3.0), ("old", 2.0)], id="not live"
        ),
        pytest.param([], [row("gone", 3)], [("gone", 3.0)], id="no agent is live: the plan is nobody's"),
        pytest.param(
            ["a/x", "b/y", "c/z"], [], [("x", 9.67), ("y", 9.67), ("z", 9.66)], id="equal shares, to the cent"
        ),
    ],
)
def test_what_an_agent_costs(live, rows, shown):
    answer = cost(Period.of("30d", TODAY), subscribed("solo", *live), metrics(agents=rows))
    assert listed(answer) == shown


def test_a_plan_that_is_nobodys_is_rounded_along():
    answer = cost(WEEK, subscribed("solo"), metrics(agents=[row("gone", 0.005)]))
    assert answer.summary.total_cost == 6.77
    assert listed(answer) == [("gone", 0.0)]  # 0.01 and the plan's 6.77 would be a cent too much


@pytest.mark.parametrize(
    ("reported", "shown"),
    [
        pytest.param([], [0, 0, 0, 0], id="none"),
        pytest.param([1], [0, 0, 0, 1], id="shorter: the newest days"),
        pytest.param([1, 2, 3, 4], [1, 2, 3, 4], id="as asked"),
        pytest.param([9, 9, 1, 2, 3, 4], [1, 2, 3, 4], id="longer: the newest days"),
    ],
)
def test_days_are_aligned_at_today(reported, shown):
    figures = metrics(daily=[{"cost": dollars, "tokens": dollars} for dollars in reported])
    answer = cost(Period.of("mtd", TODAY), subscribed("free"), figures)
    assert [day.date for day in answer.daily] == ["Apr 1", "Apr 2", "Apr 3", "Apr 4"]
    assert [day.cost for day in answer.daily] == shown
    assert [day.tokens for day in answer.daily] == shown


def test_days_cross_a_year_and_a_leap_day():
    assert [day.date for day in cost(Period.of("7d", date(2028, 1, 2)), subscribed(), None).daily][:2] == [
        "Dec 27",
        "Dec 28",
    ]
    assert cost(Period.of("7d", date(2028, 3, 1)), subscribed(), None).daily[-2].date == "Feb 29"


@pytest.mark.parametrize(
    ("plan", "models", "shown"),
    [
        pytest.param("solo", {"solo": 1}, [("solo", 100.0, 30.0)], id="a model named like the plan"),
        pytest.param("Solo", {"solo": 1}, [("Solo", 96.7, 29.0), ("solo", 3.3, 1.0)], id="exactly like it"),
        pytest.param(
            "solo", {"b": 1, "a": 1}, [("solo", 93.6, 29.0), ("a", 3.2, 1.0), ("b", 3.2, 1.0)], id="equals by name"
        ),
        pytest.param("solo", {"big": 58}, [("big", 66.7, 58.0), ("solo", 33.3, 29.0)], id="largest first"),
        pytest.param("free", {"m": 2}, [("m", 100.0, 2.0), ("free", 0.0, 0.0)], id="a free plan beside a model"),
        pytest.param("free", {"m": 0}, [("free", 100.0, 0.0)], id="no cost at all"),
    ],
)
def test_models_and_the_plan(plan, models, shown):
    figures = metrics(modelBreakdown=[{"model": name, "cost": dollars} for name, dollars in models.items()])
    answer = cost(Period.of("30d", TODAY), subscribed(plan), figures)
    assert [(model.model, model.percent, model.cost) for model in answer.model_breakdown] == shown


def test_rows_of_one_model_are_one_model():
    figures = metrics(modelBreakdown=[{"model": "m", "cost": 0.1}, {"model": "m", "cost": 0.2}])
    assert cost(WEEK, subscribed("free"), figures).model_breakdown[0].cost == 0.3


def test_a_cost_per_call_is_without_the_plan_and_rounded_half_up():
    answer = cost(WEEK, subscribed("network"), metrics(agents=[row("a", 0.00125, 10), row("b", 0.0, 0)]))
    assert answer.summary.avg_cost_per_call == 0.0001
    assert [agent.avg_cost_per_call for agent in answer.agents] == [0.0001, 0.0]
    assert cost(WEEK, subscribed(), metrics(agents=[row("a", 0.00425, 1)])).summary.avg_cost_per_call == 0.0043


NAMES = st.sampled_from(["bot", "Bot", "id-1", "id-2", "solo", ""]) | st.text(max_size=5)
COUNTS = st.integers(0, 2**53 - 1)
DOLLARS = st.floats(0, 1e6).map(lambda dollars: round(dollars, 4)) | st.floats(0, 1e6) | st.just(0.0)
FIGURES = st.builds(
    CostFigures,
    agents=st.lists(st.builds(AgentFigures, NAMES, COUNTS, DOLLARS, COUNTS, st.none() | NAMES), max_size=12).map(
        tuple
    ),
    daily=st.lists(st.builds(DayFigures, DOLLARS, COUNTS), max_size=40).map(tuple),
    model_breakdown=st.lists(st.builds(ModelFigures, NAMES, DOLLARS), max_size=12).map(tuple),
)
PLANS = st.none() | st.sampled_from(["free", "Solo", "solo", "pro", "label", "network", "odd", ""])
LIVE = st.lists(st.builds(LiveAgent, st.sampled_from(["id-1", "id-2", "id-3", "bot"]), NAMES), max_size=8).map(
    tuple
)
PERIODS = st.builds(
    Period.of, st.sampled_from(["7d", "30d", "mtd", None]), st.dates(date(2001, 1, 1), date(2999, 12, 31))
)


@PROPERTY
@given(PERIODS, PLANS, LIVE, st.none() | FIGURES)
def test_whatever_is_reported_the_parts_add_up(period, plan, live, figures):
    answer = cost(period, Subscription(plan, len(live), len(live), live), figures)
    reported = figures or CostFigures()
    plan_day = Fraction(monthly_cost(plan), 30)
    newest = reported.daily[-period.days :]

    total = half_up(plan_day * period.days + sum(exact(agent.cost) for agent in reported.agents), 2)
    assert Decimal(repr(answer.summary.total_cost)) == total
    shown = to_the_cent(agent.cost for agent in answer.agents)
    if live:
        assert shown == total
    else:
        assert abs(Fraction(total - shown) - plan_day * period.days) < Fraction(1, 100)

    days = half_up(plan_day * period.days + sum(exact(day.cost) for day in newest), 2)
    assert to_the_cent(day.cost for day in answer.daily) == days
    assert sum(day.tokens for day in answer.daily) == sum(day.tokens for day in newest)

    models = half_up(plan_day * period.days + sum(exact(model.cost) for model in reported.model_breakdown), 2)
    assert to_the_cent(model.cost for model in answer.model_breakdown) == models
    assert to_the_cent(model.percent for model in answer.model_breakdown) == 100


@PROPERTY
@given(PERIODS, PLANS, LIVE, st.none() | FIGURES)
def test_whatever_is_reported_every_day_agent_and_model_is_there(period, plan, live, figures):
    answer = cost(period, Subscription(plan, len(live), len(live), live), figures)
    reported = figures or CostFigures()

    first = period.today - timedelta(days=period.days - 1)
    assert len(answer.daily) == period.days
    assert answer.daily[0].date == f"{first:%b} {first.day}"
    assert [agent.name for agent in answer.agents[: len(live)]] == [name for _, name in live]
    assert len(answer.agents) >= len(reported.agents)
    assert sum(agent.calls for agent in answer.agents) == answer.summary.total_calls
    names = [model.model for model in answer.model_breakdown]
    assert answer.plan in names
    assert len(set(names)) == len(names)
    assert [model.cost for model in answer.model_breakdown] == sorted(
        (model.cost for model in answer.model_breakdown), reverse=True
    )
    assert answer.model_dump_json(by_alias=True)

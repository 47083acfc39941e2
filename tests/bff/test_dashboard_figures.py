"""Dashboard bootstrap, cost, stats and health: pure merges of what their sources gave."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bff.endpoints.dashboard_bootstrap import BOOTSTRAP
from bff.endpoints.dashboard_bootstrap import USER as BOOTSTRAP_USER
from bff.endpoints.dashboard_cost import COST, METRICS, SUBSCRIPTION, CostQuery
from bff.endpoints.dashboard_health import HEALTH
from bff.endpoints.dashboard_stats import COUNTS, STATS
from bff.endpoints.sources import SERVICES
from bff.plans import Refused
from tests.bff.asking import NOON, ask, failure, got
from upstreams.metrics import AgentFigures, CostFigures, DayFigures, ModelFigures
from upstreams.services import ServiceStatus
from upstreams.user_store import Bootstrap, Counts, LiveAgent, Subscription


def merged(plan, gave, query=None):
    return plan.merge(ask(query), got(gave)).model_dump(mode="json")


class TestBootstrap:
    ADA = Bootstrap(70, "REF_ada", 3, "collective", "http://own.example.com", "agent_9", "gateway-token")

    def test_the_documented_answer(self):
        assert merged(BOOTSTRAP, {BOOTSTRAP_USER: self.ADA}) == {
            "credits": 70,
            "referralCode": "REF_ada",
            "referralCount": 3,
            "plan": "collective",
            "openclawUrl": "http://own.example.com",
            "openclawInstanceId": "agent_9",
            "gatewayToken": "gateway-token",
        }

    def test_a_user_without_a_plan_is_on_the_free_one(self):
        assert merged(BOOTSTRAP, {BOOTSTRAP_USER: replace(self.ADA, plan=None)})["plan"] == "free"

    def test_a_user_missing_from_the_store_has_nothing(self):
        assert merged(BOOTSTRAP, {BOOTSTRAP_USER: None}) == {
            "credits": 0,
            "referralCode": None,
            "referralCount": 0,
            "plan": None,
            "openclawUrl": None,
            "openclawInstanceId": None,
            "gatewayToken": None,
        }

    def test_an_answer_with_a_token_is_secret(self):
        assert BOOTSTRAP.secret


class TestCost:
    ADA = Subscription("collective", 3, 2, (LiveAgent("agent_1", "Scout"), LiveAgent("agent_2", "Muse")))
    FIGURES = CostFigures(
        agents=(AgentFigures("Scout", 1000, 1.5, 10, "gpt"),),
        daily=(DayFigures(0.5, 400), DayFigures(1.0, 600)),
        model_breakdown=(ModelFigures("gpt", 1.5),),
    )

    def cost(self, subscription=ADA, metrics=FIGURES, period="7d"):
        return merged(COST, {SUBSCRIPTION: subscription, METRICS: metrics}, CostQuery(period))

    def test_the_plan_and_the_usage_add_up(self):
        answer = self.cost()
        assert answer["summary"]["totalCost"] == 17.6  # 69 / 30 * 7, and 1.50 of usage
        assert (answer["summary"]["totalTokens"], answer["summary"]["totalCalls"]) == (1000, 10)
        assert answer["summary"]["avgCostPerCall"] == 0.15
        assert round(sum(day["cost"] for day in answer["daily"]), 2) == 17.6
        assert (answer["plan"], answer["planMonthlyCost"]) == ("collective", 69)
        assert (answer["agentCount"], answer["activeAgents"]) == (3, 2)

    def test_with_metrics_down_the_plan_is_all(self):
        answer = self.cost(metrics=failure("metrics"))
        assert answer["summary"] == {"totalCost": 16.1, "totalTokens": 0, "totalCalls": 0, "avgCostPerCall": 0}
        assert answer["modelBreakdown"] == [{"model": "collective", "percent": 100, "cost": 16.1}]
        assert {day["tokens"] for day in answer["daily"]} == {0}
        assert {(agent["tokens"], agent["calls"]) for agent in answer["agents"]} == {(0, 0)}
        assert answer["isMockData"] is False

    @pytest.mark.parametrize(
        ("period", "days", "first"), [("7d", 7, "Mar 29"), ("30d", 30, "Mar 6"), ("mtd", 4, "Apr 1")]
    )
    def test_one_entry_a_day_oldest_first(self, period, days, first):
        answer = self.cost(period=period)
        assert answer["period"] == period
        assert len(answer["daily"]) == days
        assert (answer["daily"][0]["date"], answer["daily"][-1]["date"]) == (first, "Apr 4")

    def test_a_user_missing_from_the_store(self):
        with pytest.raises(Refused) as refused:
            self.cost(None)
        assert (refused.value.status, refused.value.error) == (404, "User not found")

    @pytest.mark.parametrize(
        ("parameters", "period"),
        [
            ({"period": "7d"}, "7d"),
            ({"period": "30d"}, "30d"),
            ({"period": "mtd"}, "mtd"),
            ({}, "7d"),
            ({"period": ""}, "7d"),
            ({"period": "MTD"}, "7d"),
            ({"period": "90d"}, "7d"),
            ({"period": "30d\0"}, "7d"),
        ],
    )
    def test_any_other_period_is_the_default(self, parameters, period):
        assert CostQuery.parse(parameters) == CostQuery(period)

    async def test_metrics_are_asked_for_the_days_of_the_period(self):
        class Up:
            class metrics:  # noqa: N801 - stands for the client of that name
                @staticmethod
                async def cost(user_id, days):
                    return user_id, days

        asked = [await METRICS.fetch(Up, ask(CostQuery(period), user="ada")) for period in ("7d", "30d", "mtd")]
        assert asked == [("ada", 7), ("ada", 30), ("ada", 4)]


class TestStats:
    ADA = Counts("collective", 2, 3, 1, 9, 4)

    def test_the_documented_answer(self):
        assert merged(STATS, {COUNTS: self.ADA}) == {
            "agents": {"active": 2, "total": 3, "limit": 3, "newToday": 1},
            "skills": {"installed": 9},
            "tasks": {"total": 4},
        }

    @pytest.mark.parametrize(("plan", "limit"), [(None, 1), ("free", 1), ("unheard-of", 1), ("network", 100)])
    def test_the_limit_is_the_plans(self, plan, limit):
        assert merged(STATS, {COUNTS: replace(self.ADA, plan=plan)})["agents"]["limit"] == limit

    def test_the_documented_zeros(self):
        assert STATS.fallback.model_dump(mode="json") == {
            "agents": {"active": 0, "total": 0, "limit": 1, "newToday": 0},
            "skills": {"installed": 0},
            "tasks": {"total": 0},
        }

    def test_a_user_missing_from_the_store(self):
        with pytest.raises(Refused) as refused:
            merged(STATS, {COUNTS: None})
        assert (refused.value.status, refused.value.error) == (404, "User not found")

    @pytest.mark.parametrize("now", [NOON, NOON.replace(hour=0), NOON.replace(hour=23, minute=59, second=59)])
    async def test_today_begins_at_midnight_utc(self, now):
        class Up:
            class user_store:  # noqa: N801 - stands for the client of that name
                @staticmethod
                async def counts(user_id, today):
                    return user_id, today

        assert await COUNTS.fetch(Up, ask(user="ada", now=now)) == ("ada", datetime(2026, 4, 4, tzinfo=UTC))


class TestHealth:
    def test_the_services_in_their_order(self):
        probed = (ServiceStatus("B", "ok", "live"), ServiceStatus("A", "down", "refused"))
        assert merged(HEALTH, {SERVICES: probed}) == {
            "services": [
                {"name": "B", "status": "ok", "detail": "live"},
                {"name": "A", "status": "down", "detail": "refused"},
            ],
            "timestamp": "2026-04-04T12:00:00.000Z",
        }

    def test_no_services(self):
        assert merged(HEALTH, {SERVICES: failure("services")})["services"] == []

    def test_milliseconds_are_cut_not_rounded(self):
        late = NOON + timedelta(microseconds=999_999)
        answer = HEALTH.merge(ask(now=late), got({SERVICES: ()})).model_dump(mode="json")
        assert answer["timestamp"] == "2026-04-04T12:00:00.999Z"

    def test_what_browsers_and_balancers_may_keep(self):
        assert HEALTH.cache_control == "max-age=30, stale-while-revalidate=60"

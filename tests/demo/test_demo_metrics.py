"""The pretend metrics service: figures that add up and stay the same."""

from datetime import UTC, date, datetime, timedelta

import pytest

from demo.metrics import figures
from demo.people import METRICS_API_KEY, PEOPLE

KEY = {"Authorization": f"Bearer {METRICS_API_KEY}"}
TODAY = date(2026, 4, 4)


def cents(parts):
    return sum(round(part["cost"] * 100) for part in parts)


@pytest.mark.parametrize("days", [1, 7, 30, 365])
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_agents_days_and_models_add_up_to_the_same_total(person, days):
    told = figures(person.id, days, TODAY)

    assert cents(told["agents"]) == cents(told["daily"]) == cents(told["modelBreakdown"])
    assert sum(one["tokens"] for one in told["agents"]) == sum(one["tokens"] for one in told["daily"])
    assert [one["name"] for one in told["agents"]] == [agent.name for agent in person.agents]


def test_a_user_with_busy_agents_has_costs():
    assert cents(figures("user_ada", 7, TODAY)["daily"]) > 0


def test_days_come_oldest_first_and_end_today():
    told = figures("user_ada", 3, TODAY)

    assert [one["date"] for one in told["daily"]] == ["2026-04-02", "2026-04-03", "2026-04-04"]


def test_a_day_is_the_same_in_every_period_that_has_it():
    assert figures("user_ada", 30, TODAY)["daily"][-7:] == figures("user_ada", 7, TODAY)["daily"]


async def test_figures_are_answered_as_described(platform, client):
    before = datetime.now(UTC).date()
    url = platform.urls["metrics"] + "/api/metrics/cost?userId=user_ada&days=7"

    reply, again = await client.ask(url, headers=KEY), await client.ask(url, headers=KEY)

    assert reply.status == 200
    assert again.json == reply.json
    assert set(reply.json) == {"agents", "daily", "modelBreakdown"}
    assert set(reply.json["agents"][0]) == {"name", "tokens", "cost", "calls", "avgCostPerCall", "model"}
    assert set(reply.json["modelBreakdown"][0]) == {"model", "percent", "cost"}
    assert len(reply.json["daily"]) == 7
    assert before <= date.fromisoformat(reply.json["daily"][-1]["date"]) <= before + timedelta(days=1)


async def test_an_unknown_user_has_no_figures_but_days(platform, client):
    reply = await client.ask(platform.urls["metrics"] + "/api/metrics/cost?userId=nobody&days=2", headers=KEY)

    assert (reply.status, reply.json["agents"], reply.json["modelBreakdown"]) == (200, [], [])
    assert [one["cost"] for one in reply.json["daily"]] == [0, 0]


@pytest.mark.parametrize(
    ("target", "headers", "status", "error"),
    [
        ("/api/metrics/cost?userId=user_ada&days=7", {}, 401, "Unauthorized"),
        ("/api/metrics/cost?userId=user_ada&days=7", {"Authorization": "Bearer no"}, 401, "Unauthorized"),
        ("/api/metrics/cost?days=7", KEY, 400, "userId is required"),
        ("/api/metrics/cost?userId=user_ada&days=x", KEY, 400, "days must be a number from 1 to 366"),
        ("/api/metrics/cost?userId=user_ada&days=0", KEY, 400, "days must be a number from 1 to 366"),
        ("/api/metrics/cost?userId=user_ada&days=367", KEY, 400, "days must be a number from 1 to 366"),
        ("/api/metrics", KEY, 404, "Not found"),
    ],
)
async def test_what_is_not_a_good_question_is_refused(platform, client, target, headers, status, error):
    reply = await client.ask(platform.urls["metrics"] + target, headers=headers)

    assert (reply.status, reply.json) == (status, {"error": error})

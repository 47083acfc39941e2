"""The pretend metrics service: made-up figures that are the same for the same user and day, and add up."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import Answer, header, json_answer
from demo.people import METRICS_API_KEY, PEOPLE, Agent

UNAUTHORIZED = json_answer({"error": "Unauthorized"}, 401)
NOT_FOUND = json_answer({"error": "Not found"}, 404)
MOST_DAYS = 366

# Dollars per million tokens, in and out taken together.
_PRICES = {
    "claude-opus-4.5": 12.0,
    "claude-sonnet-4": 6.0,
    "gpt-5.1": 4.0,
    "gpt-5.1-mini": 0.9,
    "gemini-3-pro": 4.5,
}
_AGENTS = {person.id: person.agents for person in PEOPLE}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one agent used on one day. The cost is in whole cents, so that sums are exact."""

    agent: Agent
    day: date
    tokens: int
    cents: int
    calls: int


def _usage(agent: Agent, day: date, today: date) -> Usage:
    chance = random.Random(f"{agent.id} {day}")
    deployed = agent.status not in ("pending", "provisioning") and (today - day).days <= agent.days_old
    calls = chance.randrange(3, 60) if deployed else 0
    tokens = sum(chance.randrange(400, 9_000) for _ in range(calls))
    return Usage(agent, day, tokens, round(tokens * _PRICES[agent.model] / 10_000), calls)


def figures(user: str, days: int, today: date) -> dict[str, Any]:
    """Return the user's figures for the last ``days`` days, today last; an unknown user has no agents."""
    dates = [today - timedelta(days=ago) for ago in reversed(range(days))]
    used = [_usage(agent, day, today) for agent in _AGENTS.get(user, ()) for day in dates]
    by_agent: dict[Agent, list[Usage]] = defaultdict(list)
    by_day: Counter[date] = Counter()
    tokens_by_day: Counter[date] = Counter()
    by_model: Counter[str] = Counter()
    for usage in used:
        by_agent[usage.agent].append(usage)
        by_day[usage.day] += usage.cents
        tokens_by_day[usage.day] += usage.tokens
        by_model[usage.agent.model] += usage.cents
    return {
        "agents": [_agent_figures(agent, usages) for agent, usages in by_agent.items()],
        "daily": [
            {"date": day.isoformat(), "cost": by_day[day] / 100, "tokens": tokens_by_day[day]} for day in dates
        ],
        "modelBreakdown": _shares(by_model),
    }


def _agent_figures(agent: Agent, usages: list[Usage]) -> dict[str, Any]:
    calls = sum(usage.calls for usage in usages)
    cost = sum(usage.cents for usage in usages) / 100
    return {
        "name": agent.name,
        "tokens": sum(usage.tokens for usage in usages),
        "cost": cost,
        "calls": calls,
        "avgCostPerCall": round(cost / calls, 4) if calls else 0,
        "model": agent.model,
    }


def _shares(by_model: Counter[str]) -> list[dict[str, Any]]:
    total = by_model.total() or 1
    return [
        {"model": model, "percent": round(100 * cents / total, 1), "cost": cents / 100}
        for model, cents in by_model.most_common()
    ]


class Cost:
    """``GET /api/metrics/cost``. An answer depends on the query and the day alone, so it is made once."""

    def __init__(self, today: Callable[[], date]) -> None:
        self._today = today
        self._answer = lru_cache(maxsize=1024)(_cost_answer)
        self._authorization = f"Bearer {METRICS_API_KEY}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = UNAUTHORIZED
        if header(scope, b"authorization") == self._authorization:
            answer = self._answer(scope["query_string"], self._today())
        await answer(scope, receive, send)


def _cost_answer(query: bytes, today: date) -> Answer:
    asked = parse_qs(query.decode("latin-1"))
    user = asked.get("userId", [""])[0]
    days = asked.get("days", ["7"])[0]
    if not user:
        return json_answer({"error": "userId is required"}, 400)
    if not (days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_DAYS):
        return json_answer({"error": f"days must be a number from 1 to {MOST_DAYS}"}, 400)
    return json_answer(figures(user, int(days), today))


def routes(today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> dict[str, ASGIApp]:
    """Return the metrics service's paths; any other is :data:`NOT_FOUND`."""
    return {"/api/metrics/cost": Cost(today)}

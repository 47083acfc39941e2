"""The pretend codex-lb: one account of every status, and requests that are the same for the same hour."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import Answer, header, json_answer

COOKIE = "codex_lb_dashboard_session"
SESSION = "gAAAAABpdemo-codex-session=="
TOTP_SESSION = "gAAAAABpdemo-codex-session-before-totp=="


def error(status: int, code: str, message: str) -> Answer:
    """Return an error in codex-lb's words."""
    return json_answer({"error": {"code": code, "message": message}}, status)


UNAUTHENTICATED = error(401, "authentication_required", "Authentication is required")
TOTP_REQUIRED = error(401, "totp_required", "TOTP verification is required for dashboard access")
INVALID = error(422, "validation_error", "Invalid request payload")
NOT_FOUND = error(404, "not_found", "Not Found")
HEALTHY = json_answer({"status": "ok"})

TIMEFRAMES = {"1d": 1, "7d": 7, "30d": 30}
MOST_DAYS = 366

_ACCOUNTS = (
    ("alice", "plus", "active"),
    ("bob", "pro", "active"),
    ("carol", "plus", "active"),
    ("dave", "plus", "paused"),
    ("erin", "plus", "rate_limited"),
    ("frank", "plus", "quota_exceeded"),
    ("grace", "free", "deactivated"),
    ("heidi", "plus", "reauth_required"),
)
_MODELS = {
    "gpt-5.5": "GPT-5.5",
    "gpt-5.4": "GPT-5.4",
    "gpt-5.4-mini": "GPT-5.4 Mini",
    "gpt-5.3-codex": "GPT-5.3 Codex",
    "gpt-5.3-codex-spark": "GPT-5.3 Codex Spark",
}
_EFFORTS = ["low", "medium", "high", "xhigh"]


@dataclass(slots=True)
class Usage:
    """What was used in a time. The cost is in ten-thousandths of a dollar, so that sums are exact."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0

    def add(self, other: "Usage") -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost

    @property
    def dollars(self) -> float:
        return self.cost / 10_000


def used(first: datetime, hours: int) -> Usage:
    """Return what was used in the ``hours`` from the hour of ``first`` on."""
    start = first.replace(minute=0, second=0, microsecond=0)
    total = Usage()
    for hour in range(hours):
        total.add(_used_in(start + timedelta(hours=hour)))
    return total


@lru_cache(maxsize=24 * MOST_DAYS)
def _used_in(hour: datetime) -> Usage:
    chance = random.Random(f"codex {hour:%Y-%m-%d %H}")
    total = Usage()
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        tokens = chance.randrange(4_000, 20_000)
        failed = chance.random() < 0.1
        total.add(Usage(1, failed, tokens, tokens // 8, tokens // 70))
    return total


def overview(timeframe: str, now: datetime) -> dict[str, Any]:
    """Return the accounts and the usage of the timeframe that ends with this hour."""
    hours = 24 * TIMEFRAMES[timeframe]
    usage = used(now - timedelta(hours=hours - 1), hours)
    return {
        "lastSyncAt": now.isoformat().replace("+00:00", "Z"),
        "timeframe": {"key": timeframe, "windowMinutes": 60 * hours},
        "accounts": [_account(number, *account) for number, account in enumerate(_ACCOUNTS)],
        "summary": {
            "cost": {"currency": "USD", "totalUsd": usage.dollars},
            "metrics": {
                "requests": usage.requests,
                "tokens": usage.input_tokens + usage.output_tokens,
                "errorRate": usage.errors / usage.requests if usage.requests else None,
                "errorCount": usage.errors,
                "topError": "insufficient_quota" if usage.errors else None,
            },
        },
    }


def _account(number: int, name: str, plan: str, status: str) -> dict[str, Any]:
    email = f"{name}@example.com"
    return {
        "accountId": f"acct-{number:08x}",
        "email": email,
        "displayName": email,
        "planType": plan,
        "routingPolicy": "normal",
        "status": status,
        "usage": {"primaryRemainingPercent": 100.0 - 9 * number, "secondaryRemainingPercent": 60.0},
        "deactivationReason": "Deactivated by its owner" if status == "deactivated" else None,
    }


def reports(first: date, last: date) -> dict[str, Any]:
    """Return the usage of each day from ``first`` to ``last`` and of all of them."""
    days = {first + timedelta(days=day): Usage() for day in range((last - first).days + 1)}
    total = Usage()
    for day, usage in days.items():
        usage.add(used(datetime(day.year, day.month, day.day, tzinfo=UTC), 24))
        total.add(usage)
    return {
        "summary": {
            "totalCostUsd": total.dollars,
            "totalInputTokens": total.input_tokens,
            "totalOutputTokens": total.output_tokens,
            "totalRequests": total.requests,
            "totalErrors": total.errors,
        },
        "daily": [
            {
                "date": day.isoformat(),
                "requests": usage.requests,
                "inputTokens": usage.input_tokens,
                "outputTokens": usage.output_tokens,
                "costUsd": usage.dollars,
                "errorCount": usage.errors,
            }
            for day, usage in days.items()
        ],
    }


def models() -> dict[str, Any]:
    """Return the models as the dashboard lists them."""
    efforts = {"supportedReasoningEfforts": _EFFORTS, "defaultReasoningEffort": "medium"}
    told = [{"id": model, "name": name, "sourceOnly": False} | efforts for model, name in _MODELS.items()]
    return {"models": told}


def _overview(query: dict[str, str], now: datetime) -> Answer:
    timeframe = query.get("timeframe", "7d")
    return json_answer(overview(timeframe, now)) if timeframe in TIMEFRAMES else INVALID


def _reports(query: dict[str, str], now: datetime) -> Answer:
    try:
        last = date.fromisoformat(query.get("end_date", now.date().isoformat()))
        first = date.fromisoformat(query.get("start_date", last.isoformat()))
    except ValueError:
        return INVALID
    return json_answer(reports(first, last)) if 0 <= (last - first).days < MOST_DAYS else INVALID


def _models(_query: dict[str, str], _now: datetime) -> Answer:
    return json_answer(models())


class ForSession:
    """A path of the dashboard: what ``answer`` makes of the query and the time, for who is logged in."""

    def __init__(
        self, answer: Callable[[dict[str, str], datetime], Answer], clock: Callable[[], datetime]
    ) -> None:
        self._answer = answer
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (_refusal(scope) or self._told(scope))(scope, receive, send)

    def _told(self, scope: Scope) -> Answer:
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        return self._answer(query, self._clock())


def _refusal(scope: Scope) -> Answer | None:
    """Return what who has no session, or one that waits for its second factor, is told."""
    for pair in header(scope, b"cookie").decode("latin-1").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            session = value.strip('"')
            return None if session == SESSION else TOTP_REQUIRED if session == TOTP_SESSION else UNAUTHENTICATED
    return UNAUTHENTICATED


def routes(clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> dict[str, ASGIApp]:
    """Return codex-lb's paths; any other is :data:`NOT_FOUND`."""
    return {
        "/health": HEALTHY,
        "/api/dashboard/overview": ForSession(_overview, clock),
        "/api/reports": ForSession(_reports, clock),
        "/api/models": ForSession(_models, clock),
    }

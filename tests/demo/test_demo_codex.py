"""The pretend codex-lb: the captured answers' shapes, and figures that stay the same and add up."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from demo import codex
from tests.demo.apps import running
from upstreams.codex import Codex, CodexRefusal
from upstreams.pipe import Address, Pipe, Policy
from upstreams.transport import LeanTransport

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
LOGGED_IN = {"Cookie": f'{codex.COOKIE}="{codex.SESSION}"'}
STATUSES = {"active", "paused", "rate_limited", "quota_exceeded", "deactivated", "reauth_required"}


@pytest.fixture
async def url():
    async with running(codex.routes(lambda: NOW), codex.NOT_FOUND) as url:
        yield url


@pytest.fixture
async def service(url):
    async with LeanTransport() as transport:
        yield Codex(Pipe("codex", Policy(), transport), Address.parse(url))


def kinds(value):
    """Return the JSON type of every field, those of a list's first item for all."""
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return "null" if value is None else "number" if isinstance(value, int | float) else type(value).__name__


def part_of(told, captured):
    """Return whether all that is told is captured so; what may be null may be told."""
    if isinstance(told, dict):
        return all(name in captured and part_of(each, captured[name]) for name, each in told.items())
    if isinstance(told, list):
        return all(part_of(each, captured[0]) for each in told)
    return told == captured or "null" in (told, captured)


@pytest.mark.parametrize(
    ("target", "capture_name"),
    [
        ("/health", "health"),
        ("/api/dashboard/overview?timeframe=1d", "overview-1d"),
        ("/api/reports?start_date=2026-11-01&end_date=2026-11-21", "reports-month-to-date"),
        ("/api/models", "models"),
    ],
)
async def test_what_is_told_is_told_as_captured(client, url, capture, target, capture_name):
    reply = await client.ask(url + target, headers=LOGGED_IN)
    assert reply.status == 200
    assert part_of(kinds(reply.json), kinds(capture(f"codex-lb/{capture_name}").json))


@pytest.mark.parametrize("quote", ["", '"'])
async def test_who_is_logged_in(service, quote):
    cookie = quote + codex.SESSION + quote
    overview = await service.overview(cookie)
    assert {account.status for account in overview.accounts} == STATUSES
    assert Counter(account.status for account in overview.accounts)["active"] == 3
    assert overview.summary.metrics.requests > 0
    assert (await service.usage(cookie, date(2026, 11, 1), date(2026, 11, 21))).total_cost_usd > 0
    assert "gpt-5.3-codex" in {model.id for model in await service.models(cookie)}


@pytest.mark.parametrize(
    ("cookie", "code"), [(codex.TOTP_SESSION, "totp_required"), ("garbage", "authentication_required")]
)
async def test_who_is_not(service, cookie, code):
    with pytest.raises(CodexRefusal) as caught:
        await service.models(cookie)
    assert caught.value.code == code


@pytest.mark.parametrize("path", ["/api/dashboard/overview", "/api/reports", "/api/models"])
@pytest.mark.parametrize(
    ("cookie", "capture_name"),
    [
        ("", "401-dashboard-overview-timeframe-1d"),
        ("session=1", "401-dashboard-overview-timeframe-1d"),
        (f"{codex.COOKIE}=garbage", "tampered-cookie"),
        (f'a=1; {codex.COOKIE}="{codex.TOTP_SESSION}"', "401-totp-required-overview"),
    ],
)
async def test_a_refusal_is_told_as_captured(client, url, capture, path, cookie, capture_name):
    real = capture(f"codex-lb/{capture_name}")
    reply = await client.ask(url + path, headers={"Cookie": cookie})
    assert (reply.status, reply.json) == (real.status, real.json)


@pytest.mark.parametrize(
    "target",
    [
        "/api/dashboard/overview?timeframe=90d",
        "/api/reports?start_date=yesterday",
        "/api/reports?start_date=2026-11-02&end_date=2026-11-01",
        "/api/reports?start_date=2020-01-01&end_date=2026-11-01",
    ],
)
async def test_a_bad_question_is_refused_as_captured(client, url, capture, target):
    real = capture("codex-lb/overview-bad-timeframe")
    reply = await client.ask(url + target, headers=LOGGED_IN)
    assert (reply.status, reply.json) == (real.status, real.json)


async def test_an_unknown_path(client, url):
    assert (await client.ask(f"{url}/api/nothing", headers=LOGGED_IN)).status == 404


def test_days_add_up_to_the_total():
    told = codex.reports(date(2026, 11, 1), date(2026, 11, 21))
    for total, part in [
        ("totalRequests", "requests"),
        ("totalInputTokens", "inputTokens"),
        ("totalErrors", "errorCount"),
    ]:
        assert told["summary"][total] == sum(day[part] for day in told["daily"])
    assert round(told["summary"]["totalCostUsd"] * 10_000) == sum(
        round(day["costUsd"] * 10_000) for day in told["daily"]
    )


def test_an_hour_without_requests_has_no_error_rate():
    rates = {}
    for hour in range(24 * 30):
        metrics = codex.overview("1d", NOW + timedelta(hours=hour))["summary"]["metrics"]
        rates[metrics["requests"]] = metrics["errorRate"]
    assert all((rate is None) == (requests == 0) for requests, rate in rates.items())
    assert len(rates) > 5

"""codex-lb: what is asked with whose session, what is believed, and why a session is refused."""

from datetime import date

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.codex import Codex, CodexModel, CodexOverview, CodexRefusal, CodexUsage
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

HERE = Address.parse("http://codex.example.com")
COOKIE = "gAAAAABp-session_=="
UNAUTHORIZED = "codex-lb/401-dashboard-overview-timeframe-1d"
JSON = {"content-type": "application/json"}
TOTP = "codex-lb/401-totp-required-overview"
OVERVIEW = {"accounts": [{"status": "active"}], "summary": {"metrics": {"requests": 4, "errorRate": 0.25}}}
USAGE = {"summary": {"totalInputTokens": 3, "totalOutputTokens": 4, "totalCostUsd": 0.5}}

# Each call as (what makes it, what it asks for, a captured answer).
CALLS = {
    "overview": (lambda it, who: it.overview(who), "/api/dashboard/overview?timeframe=1d", "codex-lb/overview-1d"),
    "usage": (
        lambda it, who: it.usage(who, date(2026, 11, 1), date(2026, 11, 21)),
        "/api/reports?start_date=2026-11-01&end_date=2026-11-21",
        "codex-lb/reports-month-to-date",
    ),
    "models": (lambda it, who: it.models(who), "/api/models", "codex-lb/models"),
}
every_call = pytest.mark.parametrize("name", CALLS)


def codex(upstream, address=HERE):
    return Codex(Pipe("codex", Policy(retries=0), upstream), address)


async def refusal(upstream, cookie=COOKIE, name="overview"):
    with pytest.raises(CodexRefusal) as caught:
        await CALLS[name][0](codex(upstream), cookie)
    return caught.value.code


async def failure(*answers, name="overview", address=HERE):
    with pytest.raises(UpstreamFailure) as caught:
        await CALLS[name][0](codex(Upstream(*answers), address), COOKIE)
    return caught.value


@every_call
@pytest.mark.parametrize("cookie", [COOKIE, f'"{COOKIE}"'], ids=["plain", "quoted"])
async def test_the_session_goes_along_as_it_came_and_nothing_else_of_the_caller(name, cookie):
    call, target, answer = CALLS[name]
    upstream = Upstream(captured(answer))
    await call(codex(upstream), cookie)
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("GET", HERE.base + target)
    assert request.headers.get_list("cookie") == [f"codex_lb_dashboard_session={cookie}"]
    assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent", "cookie"}


async def test_the_overview():
    overview = await codex(Upstream(captured("codex-lb/overview-1d"))).overview(COOKIE)
    assert [account.status for account in overview.accounts] == [
        "active",
        "active",
        "active",
        "paused",
        "rate_limited",
        "quota_exceeded",
        "deactivated",
        "reauth_required",
    ]
    assert overview.summary.metrics.requests == 12
    assert overview.summary.metrics.error_rate == pytest.approx(1 / 12)


async def test_the_usage():
    usage = await codex(Upstream(captured("codex-lb/reports-month-to-date"))).usage(
        COOKIE, date(2026, 11, 1), date(2026, 11, 21)
    )
    assert usage == CodexUsage(2_099_675, 259_949, 2.9835)


async def test_the_models():
    models = await codex(Upstream(captured("codex-lb/models"))).models(COOKIE)
    assert len(models) == 10
    assert models[0] == CodexModel("gpt-5.6-sol", "GPT-5.6-Sol")


@pytest.mark.parametrize("metrics", [{"requests": 0, "errorRate": None}, {"requests": 0}], ids=str)
async def test_without_requests_none_failed(metrics):
    answer = json_answer({"accounts": [], "summary": {"metrics": metrics}})
    overview = await codex(Upstream(answer)).overview(COOKIE)
    assert overview == CodexOverview((), overview.summary)
    assert overview.summary.metrics.error_rate == 0.0


async def test_a_status_that_nobody_knows_is_a_status():
    answer = json_answer(OVERVIEW | {"accounts": [{"status": "on_holiday"}, {"status": ""}]})
    overview = await codex(Upstream(answer)).overview(COOKIE)
    assert [account.status for account in overview.accounts] == ["on_holiday", ""]


@every_call
@pytest.mark.parametrize(("answer", "code"), [(UNAUTHORIZED, "authentication_required"), (TOTP, "totp_required")])
async def test_a_session_that_is_refused_says_why(name, answer, code):
    assert await refusal(Upstream(captured(answer), captured(answer)), name=name) == code


async def test_a_codex_lb_that_is_not_set_up_yet_says_so():
    answers = [json_answer({"error": {"code": "bootstrap_required", "message": "x"}}, 401) for _ in range(2)]
    upstream = Upstream(*answers)
    assert await refusal(upstream) == "bootstrap_required"
    assert {request.headers["cookie"] for request in upstream.requests} == {f"codex_lb_dashboard_session={COOKIE}"}


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        '"',
        '""',
        '"open',
        'in"side',
        "a b",
        "a;admin=1",
        "a,b",
        "a\\b",
        "a\r\nX-Admin: 1",
        "a\nb",
        "a\n",
        "a\0",
        "a\x7f",
        "a\tb",
        "é",
        "\N{PILE OF POO}",
        "\ud800",
        "x" * 4097,
        "x" * 1_000_000,
    ],
    ids=lambda cookie: ascii(cookie[:20]),
)
async def test_what_is_no_cookie_value_is_no_session_and_not_sent(cookie):
    assert await refusal(Upstream(), cookie) == "authentication_required"


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=50))
async def test_no_cookie_breaks_out_of_its_header(cookie):
    upstream = Upstream(captured("codex-lb/models"))
    try:
        await codex(upstream).models(cookie)
    except CodexRefusal:
        assert upstream.requests == []
    else:
        octets = cookie.strip('"')
        assert octets.isascii()
        assert octets.isprintable()
        assert not set(octets) & set(' ",;\\')


@pytest.mark.parametrize(
    "said",
    [
        json_answer({"error": {"code": "password_required"}}, 401),
        json_answer({"error": "Unauthorized"}, 401),
        json_answer([], 401),
        httpx.Response(401, headers=JSON, content=b"\xff"),
        httpx.Response(401, headers=JSON, content=b"[" * 50_000),
    ],
    ids=["another code", "no code", "no object", "no UTF-8", "too deep"],
)
async def test_a_refusal_without_a_known_reason_is_that_of_no_session(said):
    assert await refusal(Upstream(said)) == "authentication_required"


async def test_a_refusal_of_a_proxy_is_a_failure():
    page = httpx.Response(401, headers={"content-type": "text/html"}, content=b"<html>")
    assert (await failure(page)).status == 401


@pytest.mark.parametrize(
    ("answer", "reason", "status"),
    [
        (captured("codex-lb/overview-bad-timeframe"), Reason.STATUS, 422),
        (httpx.Response(500), Reason.STATUS, 500),
        (json_answer({}, 429), Reason.RATE_LIMITED, 429),
        (httpx.ConnectError("no"), Reason.REFUSED, None),
        (httpx.ReadError("gone"), Reason.RESET, None),
        (httpx.Response(200, content=b"<html>"), Reason.MALFORMED, 200),
    ],
)
async def test_a_codex_lb_in_trouble(answer, reason, status):
    failed = await failure(answer)
    assert (failed.reason, failed.status) == (reason, status)


async def test_a_codex_lb_that_keeps_failing_is_left_alone():
    pipe = Pipe("codex", Policy(retries=0, failures=2), Upstream(httpx.Response(500), httpx.Response(500)))
    reasons = []
    for _ in range(3):
        with pytest.raises(UpstreamFailure) as caught:
            await Codex(pipe, HERE).models(COOKIE)
        reasons.append(caught.value.reason)
    assert reasons == [Reason.STATUS, Reason.STATUS, Reason.BREAKER_OPEN]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("overview", OVERVIEW | {"accounts": None}),
        ("overview", OVERVIEW | {"accounts": [{}]}),
        ("overview", OVERVIEW | {"accounts": [{"status": 1}]}),
        ("overview", OVERVIEW | {"accounts": [{"status": "x" * 501}]}),
        ("overview", {"accounts": []}),
        ("overview", OVERVIEW | {"summary": {"metrics": None}}),
        ("overview", OVERVIEW | {"summary": {"metrics": {"requests": -1}}}),
        ("overview", OVERVIEW | {"summary": {"metrics": {"requests": 1, "errorRate": 1.01}}}),
        ("overview", OVERVIEW | {"summary": {"metrics": {"requests": 1, "errorRate": -0.01}}}),
        ("overview", OVERVIEW | {"summary": {"metrics": {"requests": 1, "errorRate": "0.5"}}}),
        ("usage", {}),
        ("usage", {"summary": USAGE["summary"] | {"totalInputTokens": -1}}),
        ("usage", {"summary": USAGE["summary"] | {"totalOutputTokens": 2**53}}),
        ("usage", {"summary": USAGE["summary"] | {"totalCostUsd": None}}),
        ("usage", {"summary": USAGE["summary"] | {"totalCostUsd": -0.5}}),
        ("models", []),
        ("models", {"models": None}),
        ("models", {"models": [{"id": "gpt"}]}),
        ("models", {"models": [{"id": 1, "name": "GPT"}]}),
        ("models", {"models": [{"id": "gpt", "name": "x" * 501}]}),
    ],
)
async def test_an_answer_that_cannot_be_is_malformed(name, body):
    assert (await failure(json_answer(body), name=name)).reason is Reason.MALFORMED


@every_call
async def test_without_an_address_it_is_disabled(name):
    assert (await failure(name=name, address=None)).reason is Reason.DISABLED

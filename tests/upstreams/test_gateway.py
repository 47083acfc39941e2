"""A user's OpenClaw gateway: which one it is, whose token it is asked with, and whether it is alive."""

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import Gateway, GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.user_store import Account

SHARED = Address.parse("http://shared.example.com")
RULES = HostRules(["own.example.com", "*.agents.example.com"], SHARED)
NOBODY = Account("u")
NOT_FOUND = captured("openclaw/api-status-2026.4.2")  # what every version answers to a path that it lacks


def directory(shared=SHARED, token="shared-token"):
    return GatewayDirectory(shared, token, RULES)


def owner(url=None, token=None):
    return Account("u", openclaw_url=url, gateway_token=token)


@pytest.mark.parametrize(
    ("url", "base", "public_only"),
    [
        (None, "http://shared.example.com", False),
        ("https://own.example.com/", "https://own.example.com", False),
        ("http://a.agents.example.com:8443", "http://a.agents.example.com:8443", True),
        ("http://SHARED.example.com:80/", "http://shared.example.com", False),
    ],
)
def test_the_users_own_gateway_else_the_shared_one(url, base, public_only):
    address = directory().address(owner(url), "gateway")
    assert (address.base, address.public_only) == (base, public_only)


@pytest.mark.parametrize("url", ["", " ", "http://169.254.169.254", "http://evil.com", "gopher://own.example.com"])
def test_a_gateway_that_may_not_be_asked_is_disabled_not_replaced(url):
    with pytest.raises(UpstreamFailure) as caught:
        directory().address(owner(url), "sessions")
    assert (caught.value.upstream, caught.value.reason) == ("sessions", Reason.DISABLED)


def test_without_any_gateway_it_is_disabled():
    with pytest.raises(UpstreamFailure) as caught:
        directory(shared=None).address(NOBODY, "gateway")
    assert caught.value.reason is Reason.DISABLED


@pytest.mark.parametrize(
    ("own", "shared", "token"),
    [
        ("own-token", "shared-token", "own-token"),
        (None, "shared-token", "shared-token"),
        ("", "shared-token", "shared-token"),
        (None, None, None),
        ("evil\r\nx-injected: 1", "shared-token", None),
        ("null\0byte", "shared-token", None),
        ("tökén", "shared-token", None),
        ("\x7f", "shared-token", None),
        ("\ud800", "shared-token", None),
    ],
)
def test_the_users_own_token_else_the_shared_one_and_only_if_it_fits_a_header(own, shared, token):
    assert directory(token=shared).token(owner(token=own), SHARED) == token


@pytest.mark.parametrize(
    ("url", "token"),
    [("http://own.example.com", "shared-token"), ("http://anybodys.agents.example.com", None)],
    ids=["a host named in full", "a host that matches a suffix"],
)
def test_the_shared_token_goes_only_where_the_operator_named_the_host(url, token):
    shared = directory()
    account = owner(url)
    assert shared.token(account, shared.address(account, "gateway")) == token


def gateway(upstream, **shared):
    return Gateway(Pipe("gateway", Policy(retries=0), upstream), directory(**shared))


async def failure_of(*answers, account=NOBODY):
    with pytest.raises(UpstreamFailure) as caught:
        await gateway(Upstream(*answers)).health(account)
    assert caught.value.upstream == "gateway"
    return caught.value


async def test_alive_without_a_token():
    upstream = Upstream(captured("openclaw/healthz-2026.4.2"))
    assert await gateway(upstream).health(owner("https://own.example.com", "own-token")) is True
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("GET", "https://own.example.com/healthz")
    assert "authorization" not in request.headers


@pytest.mark.parametrize("lacking", ["openclaw/root-2026.4.2", "openclaw/api-status-2026.4.2"])
async def test_an_older_managed_gateway_tells_by_its_status(lacking):
    upstream = Upstream(captured(lacking), json_answer({"running": True, "version": "2025.1"}))
    assert await gateway(upstream).health(NOBODY) is True
    assert upstream.paths == ["/healthz", "/api/status"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([json_answer({"ok": False, "status": "draining"})], id="not ok"),
        pytest.param([NOT_FOUND, json_answer({"running": False})], id="managed and stopped"),
    ],
)
async def test_a_gateway_that_says_that_it_is_not_alive(answers):
    assert (await failure_of(*answers)).reason is Reason.STATUS


@pytest.mark.parametrize(
    ("answers", "reason", "status"),
    [
        ([NOT_FOUND, NOT_FOUND], Reason.STATUS, 404),
        ([captured("openclaw/root-2026.4.2"), captured("openclaw/root-2026.4.2")], Reason.MALFORMED, 200),
        ([NOT_FOUND, httpx.ConnectError("no")], Reason.STATUS, 404),
        ([json_answer({"ok": "yes"}), NOT_FOUND], Reason.MALFORMED, 200),
        ([json_answer([]), json_answer({"running": "yes"})], Reason.MALFORMED, 200),
    ],
)
async def test_what_is_neither_fails_as_the_first_question_did(answers, reason, status):
    failed = await failure_of(*answers)
    assert (failed.reason, failed.status) == (reason, status)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.ConnectError("no"), Reason.REFUSED),
        (httpx.ReadError("gone"), Reason.RESET),
        (httpx.Response(500), Reason.STATUS),
        (httpx.Response(401), Reason.STATUS),
        (captured("openclaw/auth-ratelimit-good-token-while-locked-2026.4.2"), Reason.RATE_LIMITED),
    ],
)
async def test_a_gateway_in_trouble_is_not_asked_a_second_question(answer, reason):
    assert (await failure_of(answer)).reason is reason


async def test_without_a_gateway_nothing_is_asked():
    with pytest.raises(UpstreamFailure) as caught:
        await gateway(Upstream(), shared=None).health(NOBODY)
    assert caught.value.reason is Reason.DISABLED


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (captured("openclaw/readyz-noauth-2026.4.2"), 6.237),
        (captured("openclaw/readyz-noauth-2026.9.6"), 7.923),
        (json_answer({"uptimeMs": 0}), 0.0),
    ],
)
async def test_uptime_in_seconds_without_a_token(answer, seconds):
    upstream = Upstream(answer)
    assert await gateway(upstream).uptime(owner("https://own.example.com", "own-token")) == seconds
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("GET", "https://own.example.com/readyz")
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOT_FOUND, Reason.STATUS),
        (captured("openclaw/root-2026.4.2"), Reason.MALFORMED),
        (json_answer({"ready": True}), Reason.MALFORMED),
        (json_answer({"uptimeMs": None}), Reason.MALFORMED),
        (json_answer({"uptimeMs": "6237"}), Reason.MALFORMED),
        (json_answer({"uptimeMs": -1}), Reason.MALFORMED),
        (json_answer({"uptimeMs": 1e300}), Reason.MALFORMED),
    ],
)
async def test_no_uptime(answer, reason):
    with pytest.raises(UpstreamFailure) as caught:
        await gateway(Upstream(answer)).uptime(NOBODY)
    assert caught.value.reason is reason


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


OTHER = Address.parse("http://other.example.com")


def ask(refused, at=SHARED, token="token", status=None):
    """Return the status that a call fails with, and whether it was made; with ``status`` it fails by itself."""
    made = []
    try:
        with refused.noted("up", at, token):
            made.append(token)
            fail(status)
    except UpstreamFailure as failure:
        return failure.status, bool(made)
    return None, bool(made)


def fail(status):
    if status is not None:
        raise UpstreamFailure("up", Reason.STATUS, status=status)


def test_a_token_that_was_refused_is_not_tried_again_for_ten_seconds(clock):
    refused = RefusedTokens(clock)
    assert ask(refused, status=401) == (401, True)
    clock.now += 9.9
    assert ask(refused) == (401, False)
    clock.now += 0.2
    assert ask(refused) == (None, True)


def test_another_token_and_another_gateway_are_tried(clock):
    refused = RefusedTokens(clock)
    ask(refused, status=401)
    assert ask(refused, token="another") == (None, True)
    assert ask(refused, token=None) == (None, True)
    assert ask(refused, at=OTHER) == (None, True)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_any_other_failure_refuses_no_token(status, clock):
    refused = RefusedTokens(clock)
    assert ask(refused, status=status) == (status, True)
    assert ask(refused) == (None, True)

"""The agent management service's answers are untrusted: wrong types, rubbish times, secrets, depth and size."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from tests.upstreams.backend_calls import ADA, OF_AN_AGENT, backend, failure_of
from upstreams.backend import BackendAgent, LogEntry, LogPage
from upstreams.backend.objects import MAX_DEPTH, without_secrets
from upstreams.failure import Reason

AGENT = {"id": "a", "status": "active"}
LINE = {"id": "log_001", "level": "info", "message": "Agent started", "source": "system", "agentId": "a"}
STATS = {
    "agentId": "a",
    "cpu": "3%",
    "memory": "1MiB / 2GiB",
    "memoryPercent": "1%",
    "network": "1B / 2B",
    "pids": "4",
    "status": "running",
    "uptime": 5,
    "uptimeFormatted": "0h 0m",
}
STACK_TRACE = httpx.Response(
    500, headers={"content-type": "text/html; charset=utf-8"}, content=b"<pre>Error: at /srv/app/secret.js:1</pre>"
)


def call(name, answer):
    return OF_AN_AGENT[name][0](backend(Upstream(answer)), ADA, "a")


@pytest.mark.parametrize("name", OF_AN_AGENT)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (captured("openclaw/root-2026.4.2"), Reason.MALFORMED),
        (STACK_TRACE, Reason.STATUS),
        (json_answer([]), Reason.MALFORMED),
        (json_answer(None), Reason.MALFORMED),
        (json_answer("active"), Reason.MALFORMED),
        (httpx.Response(200, content=b'{"status":"act'), Reason.MALFORMED),
        (httpx.Response(200, content=b'{"a":' * 10_000 + b"1" + b"}" * 10_000), Reason.MALFORMED),
        (httpx.Response(200, content=b" " * (3 * 1024 * 1024)), Reason.TOO_LARGE),
        (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), Reason.STATUS),
    ],
    ids=["html", "stack trace", "list", "null", "string", "cut off", "deep", "huge", "redirect"],
)
async def test_what_is_no_answer_is_a_failure(name, answer, reason):
    failure = await failure_of(call(name, answer))
    assert (failure.upstream, failure.reason) == ("backend", reason)
    assert "secret" not in str(failure)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("agent", AGENT | {"status": None}),
        ("agent", AGENT | {"id": 7}),
        ("agent", AGENT | {"verified": "yes"}),
        ("agent", AGENT | {"url": ["https://a"]}),
        ("agent", AGENT | {"plan": "p" * 501}),
        ("logs", {"logs": None, "total": 0}),
        ("logs", {"logs": [], "total": -1}),
        ("logs", {"logs": [], "total": "5"}),
        ("logs", {"logs": [LINE] * 1001, "total": 1001}),
        ("logs", {"logs": [LINE | {"message": {}}], "total": 1}),
        ("verification", {"verified": None}),
        ("verification", {"verified": True, "metadata": "note"}),
        ("verify", {"success": "true", "verified": True}),
        ("unverify", {}),
        ("lifecycle", {"status": "active"}),
        ("lifecycle", {"success": True, "status": 1}),
        ("token", {"token": None}),
        ("token", {"token": ""}),
        ("token", {"token": "t" * 5000}),
        ("instance_stats", STATS | {"uptime": -1}),
        ("instance_stats", STATS | {"uptime": "5"}),
        ("instance_stats", STATS | {"cpu": 3.4}),
        ("instance_stats", {"status": "running"}),
    ],
)
async def test_a_wrong_type_is_malformed(name, answer):
    assert (await failure_of(call(name, json_answer(answer)))).reason is Reason.MALFORMED


@pytest.mark.parametrize("name", ["verify", "unverify", "lifecycle"])
async def test_an_order_that_did_not_succeed_is_a_failure_of_known_outcome(name):
    failure = await failure_of(call(name, json_answer({"success": False, "verified": False})))
    assert (failure.reason, failure.status, failure.outcome_unknown) == (Reason.STATUS, None, False)


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        ("2026-03-01T00:00:00Z", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-11-20T10:00:00.123456789Z", datetime(2026, 11, 20, 10, 0, 0, 123457, tzinfo=UTC)),
        ("2026-11-20T12:00:00+02:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        ("", None),
        ("9" * 10_000, None),
        (1_760_000_000_000, None),
        ({"$date": 0}, None),
        (None, None),
    ],
)
async def test_a_time_that_cannot_be_read_does_not_cost_the_rest(told, understood):
    answer = AGENT | {"startedAt": told, "verifiedAt": told}
    assert await call("agent", json_answer(answer)) == BackendAgent(
        "a", "active", started_at=understood, verified_at=understood
    )
    page = await call("logs", json_answer({"logs": [LINE | {"timestamp": told}], "total": 1}))
    assert page == LogPage((LogEntry("log_001", "info", "Agent started", understood, "system", "a"),), 1)
    assert (await call("verify", json_answer({"success": True, "verified": True, "verifiedAt": told}))) is not None


async def test_what_the_service_adds_is_not_passed_on():
    told = await call("agent", json_answer(AGENT | {"authToken": "t1", "gatewayToken": "t2", "env": {"KEY": "k"}}))
    assert told == BackendAgent("a", "active")


SECRETIVE = {
    "model": "m",
    "gatewayToken": "s",
    "auth_token": "s",
    "nested": [{"AuthToken": "s", "kept": 1}, {"deep": {"GATEWAY-TOKEN": {"value": "s"}, "gateway.token": "s"}}],
    "tokens": 5,
    "gatewayTokens": "kept",
    "token": "kept",
}
PUBLIC = {
    "model": "m",
    "nested": [{"kept": 1}, {"deep": {}}],
    "tokens": 5,
    "gatewayTokens": "kept",
    "token": "kept",
}


@pytest.mark.parametrize("name", ["config", "put_config"])
async def test_a_configuration_comes_without_the_secrets_in_it(name):
    assert await call(name, json_answer(SECRETIVE)) == PUBLIC


async def test_metadata_of_a_verification_comes_without_the_secrets_in_it():
    told = await call("verification", json_answer({"verified": True, "metadata": SECRETIVE}))
    assert told.metadata == PUBLIC


@pytest.mark.parametrize(
    "key",
    [
        "authToken", "auth_token", "auth-token", "AUTH_TOKEN", "authtoken", "Auth Token", "auth.token",
        "gatewayToken", "gateway_token", "gateway-token", "GATEWAY_TOKEN", "GatewayToken", "gateway__token",
    ],
)  # fmt: skip
def test_a_secret_is_known_however_it_is_spelled(key):
    assert without_secrets({key: "s", "a": [{key: {"b": 1}}]}) == {"a": [{}]}


@pytest.mark.parametrize(
    "value", [None, 1, "authToken", [], {}, [[{"a": None}]], {"authTokens": 1, "myAuthToken": 2}]
)
def test_what_holds_no_secret_stays_as_it_is(value):
    assert without_secrets(value) == value


def nested(levels):
    return json.loads('{"a":' * (levels - 1) + "{}" + "}" * (levels - 1))


@pytest.mark.parametrize("name", ["config", "put_config"])
async def test_a_configuration_may_be_as_deep_as_the_limit_and_no_deeper(name):
    assert await call(name, json_answer(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    assert (await failure_of(call(name, json_answer(nested(MAX_DEPTH + 1))))).reason is Reason.MALFORMED

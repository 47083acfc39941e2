"""What the agent management service is sent: who asks, signed; what is unsafe to say is not said at all."""

import json

import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from tests.upstreams.backend_calls import ADA, OF_AN_AGENT, backend, failure_of
from upstreams.backend import Actor, Provisioned, VerifyRequest
from upstreams.failure import Reason

NO = json_answer({"error": "no"}, 500)
PROVISIONED = {
    "success": True,
    "userId": "a1b2c3d4e5f6g7h8",
    "subdomain": "a1b2c3d4e5f6g7h8.agents.localhost",
    "url": "https://a1b2c3d4e5f6g7h8.agents.localhost",
    "streamKey": "live_abc123",
    "liveStreamId": "stream_456",
    "aiProvider": "openrouter",
}
OURS = {"accept", "accept-encoding", "user-agent", "host", "authorization"}
IDENTITY = {"x-user-id", "x-user-email", "x-user-role", "x-user-signature"}


async def sent(ask, **how):
    """Return the request that ``ask`` sends."""
    upstream = Upstream(NO)
    await failure_of(ask(backend(upstream, **how)))
    return upstream.requests[0]


# The signatures are openssl's: printf '%s' id:email:role | openssl dgst -sha256 -hmac the-api-key
@pytest.mark.parametrize(
    ("actor", "email", "role", "signature"),
    [
        (ADA, "ada@example.com", "user", "91f2377b9b918424cb3cfdaf6d3288e1336dfc15d9d2a9dc728ac4a32b7f5d0a"),
        (
            Actor("user_ada", "ada@example.com", is_admin=True),
            "ada@example.com",
            "admin",
            "50366bf93a531fc531fd516680295b5c3ad511c03deac2a3a442cc583d60340c",
        ),
        (
            Actor("user_ada", None, is_admin=False),
            "",
            "user",
            "46340a43d91306085f6e9d26a5a73bc8fddf1c43cd2570f7d858911409e7000f",
        ),
        (
            Actor("did:privy:1", "a.b@example.com", is_admin=False),
            "a.b@example.com",
            "user",
            "e4805bd23927ab0e214ca7a1f5a20a5c2eed7d8f59322bf719805bc3f4aa48ab",
        ),
    ],
)
async def test_who_asks_is_told_and_signed_with_the_api_key(actor, email, role, signature):
    headers = (await sent(lambda it: it.agent(actor, "a"))).headers
    assert headers["authorization"] == "Bearer the-api-key"
    assert {name: headers[name] for name in IDENTITY} == {
        "x-user-id": actor.user_id,
        "x-user-email": email,
        "x-user-role": role,
        "x-user-signature": signature,
    }


@pytest.mark.parametrize("api_key", ["the-api-key", None])
async def test_a_signing_secret_of_its_own_signs_in_place_of_the_api_key(api_key):
    headers = (await sent(lambda it: it.agent(ADA, "a"), api_key=api_key, signing_secret="another-secret")).headers
    assert headers["x-user-signature"] == "ecc0fb93d2bd652903af467c3a16b583ce51102fb1a600a2149f714646bdce5d"
    assert headers.get("authorization") == (api_key and "Bearer the-api-key")


async def test_without_any_secret_nobody_is_named():
    headers = (await sent(lambda it: it.agent(ADA, "a"), api_key=None)).headers
    assert not (IDENTITY | {"authorization"}) & set(headers)


@pytest.mark.parametrize("name", OF_AN_AGENT)
async def test_each_call_goes_to_its_own_path_with_the_identity(name):
    ask, method, path = OF_AN_AGENT[name]
    request = await sent(lambda it: ask(it, ADA, "agent_123"))
    assert (request.method, request.url.path) == (method, path.format("agent_123"))
    assert set(request.headers) - {"content-type", "content-length"} == OURS | IDENTITY


@pytest.mark.parametrize(
    ("limit", "level", "query"),
    [(50, None, b"limit=50"), (100, "error", b"limit=100&level=error"), (1, "a&b=c", b"limit=1&level=a%26b%3Dc")],
)
async def test_logs_are_asked_for_by_limit_and_level(limit, level, query):
    assert (await sent(lambda it: it.logs(ADA, "a", limit, level))).url.query == query


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (lambda it: it.put_config(ADA, "a", {"model": "m", "deep": {"x": [None, 1.5]}}), None),
        (lambda it: it.lifecycle(ADA, "a", "reset-memory"), {}),
        (
            lambda it: it.verify(ADA, "a", VerifyRequest("eas", attestation_uid="0x1")),
            {"verificationType": "eas", "attestationUid": "0x1"},
        ),
        (
            lambda it: it.verify(ADA, "a", VerifyRequest("ens", signature="0x2", wallet_address="0x3")),
            {"verificationType": "ens", "signature": "0x2", "walletAddress": "0x3"},
        ),
        (
            lambda it: it.provision(ADA, {"telegramToken": "123:abc", "email": "ada@example.com"}),
            {"telegramToken": "123:abc", "email": "ada@example.com"},
        ),
    ],
)
async def test_a_body_is_json_of_what_was_given(ask, body):
    request = await sent(ask)
    assert json.loads(request.read()) == ({"model": "m", "deep": {"x": [None, 1.5]}} if body is None else body)
    assert request.headers["content-type"] == "application/json"


async def test_provisioning_has_a_pipe_of_its_own():
    usual, patient = Upstream(), Upstream(json_answer(PROVISIONED))
    made = await backend(usual, provisioning=patient).provision(ADA, {"telegramToken": "123:abc"})
    assert made == Provisioned(
        success=True,
        user_id="a1b2c3d4e5f6g7h8",
        subdomain="a1b2c3d4e5f6g7h8.agents.localhost",
        url="https://a1b2c3d4e5f6g7h8.agents.localhost",
        stream_key="live_abc123",
        live_stream_id="stream_456",
    )
    assert patient.paths == ["/api/provision"]
    assert not usual.requests


@pytest.mark.parametrize(
    ("agent_id", "segment"),
    [
        ("a/../b", b"a%2F..%2Fb"),
        ("a?x=1#y", b"a%3Fx%3D1%23y"),
        ("%2e%2e", b"%252e%252e"),
        ("a b", b"a%20b"),
        ("é", b"%C3%A9"),
        ("...", b"..."),
    ],
)
async def test_an_id_is_one_segment_of_the_path(agent_id, segment):
    request = await sent(lambda it: it.agent(ADA, agent_id))
    assert request.url.raw_path == b"/api/agents/" + segment


@pytest.mark.parametrize("name", OF_AN_AGENT)
@pytest.mark.parametrize(
    "agent_id", ["", ".", "..", "a\x00b", "a\r\nx: y", "\ud800", "\u2028", "a" * 256, "a" * 1_000_000]
)
async def test_an_id_that_is_no_segment_is_not_asked_for(name, agent_id):
    upstream = Upstream()
    failure = await failure_of(OF_AN_AGENT[name][0](backend(upstream), ADA, agent_id))
    assert (failure.upstream, failure.reason, failure.outcome_unknown) == ("backend", Reason.DISABLED, False)
    assert not upstream.requests


@pytest.mark.parametrize("name", [*OF_AN_AGENT, "provision"])
@pytest.mark.parametrize(
    "user_id",
    ["", "ada\r\nx-user-role: admin", "ada\x00", "ada\x7f", "ada ", "adä", "\ud800", "a" * 256],
)
async def test_an_identity_that_no_header_can_carry_is_not_told(name, user_id):
    ask = OF_AN_AGENT[name][0] if name in OF_AN_AGENT else lambda it, who, _: it.provision(who, {})
    upstream = Upstream()
    failure = await failure_of(ask(backend(upstream), Actor(user_id, "ada@example.com", is_admin=False), "a"))
    assert (failure.upstream, failure.reason, failure.outcome_unknown) == ("backend", Reason.DISABLED, False)
    assert user_id not in str(failure) or not user_id
    assert not upstream.requests


@pytest.mark.parametrize(
    "email",
    [
        None,
        "",
        "ada@example.com\nx-user-role: admin",
        "ada@exämple.com",
        " ada@example.com",
        "\t",
        "b:c@example.com",
        "a" * 1_000_000,
    ],
    ids=lambda email: repr(email)[:20],
)
async def test_an_email_that_no_header_can_carry_is_left_empty(email):
    asked = await sent(lambda it: it.agent(Actor("ada", email, is_admin=False), "x"))
    without = await sent(lambda it: it.agent(Actor("ada", None, is_admin=False), "x"))
    assert asked.headers["x-user-email"] == ""
    assert asked.headers["x-user-signature"] == without.headers["x-user-signature"]


async def test_two_callers_never_share_a_signature():
    """Read from the right: a role and an e-mail hold no colon, so what is left is the id."""
    callers = [
        ("a", "b:c@example.com"),
        ("a:b", "c@example.com"),
        ("a", "c@example.com"),
        ("a:b", None),
        ("a", "b"),
    ]
    asked = [await sent(lambda it, who=who: it.agent(Actor(*who, is_admin=False), "x")) for who in callers]
    assert len({each.headers["x-user-signature"] for each in asked}) == len(callers)


async def test_health_needs_neither_key_nor_identity():
    upstream = Upstream(captured("agentbot-backend/health"))
    await backend(upstream).health()
    assert set(upstream.requests[0].headers) == OURS - {"authorization"}


@pytest.mark.parametrize("name", OF_AN_AGENT)
async def test_without_an_address_it_is_disabled(name):
    failure = await failure_of(OF_AN_AGENT[name][0](backend(Upstream(), address=None), ADA, "a"))
    assert failure.reason is Reason.DISABLED

"""Deploying an agent on the shared gateway, and where it is then talked to."""

import json

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.deployment import Deployment, DeployOrder
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

SHARED = Address.parse("http://shared.example.com:10000")
ORDER = DeployOrder(
    agent_id="agent_1",
    user_id="user_1",
    name="My Agent",
    model="claude-opus-4-6",
    config={"tone": {"formal": True}},
    skills=["browser"],
    timestamp="2026-04-04T12:00:00.000Z",
)


def deployment(upstream, shared=SHARED, key="internal-key"):
    return Deployment(Pipe("gateway", Policy(retries=5), upstream), shared, key)


async def failure_of(upstream, **options):
    with pytest.raises(UpstreamFailure) as caught:
        await deployment(upstream, **options).deploy(ORDER)
    return caught.value


async def test_an_order_and_its_answer():
    upstream = Upstream(json_answer({"gatewayId": "gw-1", "secret": "s"}))
    assert await deployment(upstream).deploy(ORDER) == "gw-1"
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("POST", "http://shared.example.com:10000/api/agents/deploy")
    assert request.headers["x-internal-key"] == "internal-key"
    assert "authorization" not in request.headers
    assert json.loads(request.content) == {
        "type": "deploy_agent",
        "agentId": "agent_1",
        "userId": "user_1",
        "name": "My Agent",
        "model": "claude-opus-4-6",
        "config": {"tone": {"formal": True}},
        "skills": ["browser"],
        "timestamp": "2026-04-04T12:00:00.000Z",
    }


async def test_without_a_key_none_is_sent():
    upstream = Upstream(json_answer({"gatewayId": "gw-1"}))
    await deployment(upstream, key=None).deploy(ORDER)
    assert "x-internal-key" not in upstream.requests[0].headers


@pytest.mark.parametrize(
    ("answer", "reason", "unknown"),
    [
        (captured("openclaw/root-2026.4.2"), Reason.MALFORMED, True),
        (json_answer({}), Reason.MALFORMED, True),
        (json_answer({"gatewayId": ""}), Reason.MALFORMED, True),
        (json_answer({"gatewayId": 1}), Reason.MALFORMED, True),
        (json_answer({"gatewayId": "x" * 257}), Reason.MALFORMED, True),
        (captured("openclaw/api-status-2026.4.2"), Reason.STATUS, False),
        (json_answer({"error": "no"}, status=503), Reason.STATUS, False),
        (httpx.ConnectError("no"), Reason.REFUSED, False),
        (httpx.ReadError("gone"), Reason.RESET, True),
    ],
)
async def test_a_deployment_that_fails_is_tried_once(answer, reason, unknown):
    upstream = Upstream(answer)
    failed = await failure_of(upstream)
    assert (failed.upstream, failed.reason, failed.outcome_unknown) == ("gateway", reason, unknown)
    assert len(upstream.requests) == 1


async def test_without_a_shared_gateway_nothing_is_sent():
    upstream = Upstream()
    assert (await failure_of(upstream, shared=None)).reason is Reason.DISABLED
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("shared", "user_id", "url"),
    [
        ("http://openclaw-gateway:10000", "user_123", "ws://openclaw-gateway:10000/agent/user_123"),
        ("https://gw.example.com/base/", "user_123", "wss://gw.example.com/agent/user_123"),
        ("https://gw.example.com:443", "a/../b?c#d é", "wss://gw.example.com/agent/a%2F..%2Fb%3Fc%23d%20%C3%A9"),
        ("http://[::1]:9", "u", "ws://[::1]:9/agent/u"),
    ],
)
def test_where_an_agent_is_talked_to(shared, user_id, url):
    assert deployment(Upstream(), shared=Address.parse(shared)).websocket_url(user_id) == url


def test_without_a_shared_gateway_it_is_talked_to_nowhere():
    assert deployment(Upstream(), shared=None).websocket_url("u") is None

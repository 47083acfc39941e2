"""The pretend gateway deploys agents for who knows the internal key."""

import pytest

from demo.people import INTERNAL_KEY, SHARED_GATEWAY_TOKEN

ORDER = {
    "type": "deploy_agent",
    "agentId": "agent_1",
    "userId": "user_ada",
    "name": "My Agent",
    "model": "claude-opus-4-6",
    "config": {"temperature": 0.5},
    "skills": [],
    "timestamp": "2026-11-21T12:00:00.000Z",
}
KEY = {"X-Internal-Key": INTERNAL_KEY}


@pytest.fixture
def deploy(client, gateway):
    async def send(body=ORDER, headers=KEY, method="POST"):
        return await client.ask(f"{gateway}/api/agents/deploy", method, body, headers)

    return send


async def test_the_same_agent_gets_the_same_gateway(deploy):
    first, again = await deploy(), await deploy(ORDER | {"timestamp": "2026-11-22T12:00:00.000Z"})
    other = await deploy(ORDER | {"agentId": "agent_2"})
    assert first.status == 200
    assert first.json == again.json != other.json
    assert list(first.json) == ["gatewayId"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Internal-Key": "nope"}, {"X-Internal-Key": ""}, {"Authorization": f"Bearer {SHARED_GATEWAY_TOKEN}"}],
)
async def test_only_the_internal_key_deploys(deploy, headers):
    assert (await deploy(headers=headers)).status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        [],
        {name: value for name, value in ORDER.items() if name != "agentId"},
        ORDER | {"type": "delete_agent"},
        ORDER | {"agentId": 7},
        ORDER | {"config": None},
        ORDER | {"skills": [1]},
    ],
)
async def test_an_order_must_be_complete(deploy, body):
    reply = await deploy(body)
    assert (reply.status, list(reply.json)) == (400, ["error"])


async def test_agents_are_deployed_by_post_alone(deploy):
    assert (await deploy(method="GET", body=None)).status == 405

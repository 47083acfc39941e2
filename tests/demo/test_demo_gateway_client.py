"""The gateway's own clients of OpenClaw understand the pretend one."""

import pytest

from demo.people import ADA, INTERNAL_KEY, SHARED_GATEWAY_TOKEN
from upstreams.chat import Chat
from upstreams.deployment import Deployment, DeployOrder
from upstreams.failure import UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.sessions import Sessions
from upstreams.transport import LeanTransport
from upstreams.user_store import Account

OWNER = Account(ADA.id, ADA.email, None, ADA.gateway_token)
ORDER = DeployOrder("agent_1", ADA.id, "My Agent", "claude-opus-4-6", {"a": 1}, [], "2026-11-21T12:00:00.000Z")


@pytest.fixture
async def pipe():
    transport = LeanTransport()
    yield Pipe("gateway", Policy(retries=0), transport)
    await transport.aclose()


@pytest.fixture
def directory(gateway):
    shared = Address.parse(gateway)
    return GatewayDirectory(shared, SHARED_GATEWAY_TOKEN, HostRules([], shared))


@pytest.fixture
def chat(pipe, directory):
    return Chat(pipe, directory, RefusedTokens())


async def test_a_reply_is_understood_whole_and_in_pieces(chat):
    pieces = []

    async def tell(piece):
        pieces.append(piece)

    assert await chat.reply(OWNER, "general", "What is 6 * 7?") == "6 * 7 is 42."
    assert await chat.stream(OWNER, "general", "What is 6 * 7?", tell) == "6 * 7 is 42."
    assert (len(pieces), "".join(pieces)) == (5, "6 * 7 is 42.")


async def test_the_sessions_tell_what_was_said(chat, pipe, directory):
    sessions = Sessions(pipe, directory, RefusedTokens())
    before = await sessions.list(OWNER)
    await chat.reply(OWNER, "general", "hello")
    after = await sessions.list(OWNER)
    assert [one.key for one in after] == ["agent:main:openai-user:general", *(one.key for one in before)]
    messages = await sessions.history(OWNER, after[0].key, 10)
    assert [(one.role, one.text) for one in messages] == [("user", "hello"), ("assistant", "Hi! How can I help?")]


async def test_a_failing_model_is_a_failure(chat):
    with pytest.raises(UpstreamFailure) as caught:
        await chat.reply(OWNER, "general", "FAIL500")
    assert (caught.value.status, caught.value.in_json, caught.value.outcome_unknown) == (502, True, False)


async def test_an_agent_is_deployed_with_the_internal_key_alone(pipe, gateway):
    shared = Address.parse(gateway)
    first, again = [await Deployment(pipe, shared, INTERNAL_KEY).deploy(ORDER) for _ in range(2)]
    assert first == again
    with pytest.raises(UpstreamFailure) as caught:
        await Deployment(pipe, shared, None).deploy(ORDER)
    assert caught.value.status == 401

"""The gateway's own client of the agent management service understands the pretend one."""

from datetime import UTC, datetime

import pytest

from demo.people import ADA, BACKEND_API_KEY
from upstreams.backend import Actor, Backend, VerifyRequest
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy
from upstreams.transport import LeanTransport

BEACON = "agent_ada_beacon"
ASKER = Actor(ADA.id, ADA.email, is_admin=False)


@pytest.fixture
async def backend(platform):
    transport = LeanTransport()
    pipe = Pipe("backend", Policy(retries=0), transport)
    yield Backend(pipe, pipe, Address.parse(platform.urls["backend"]), BACKEND_API_KEY)
    await transport.aclose()


async def test_every_read_is_understood(backend):
    assert (await backend.health()).status == "ok"
    agent = await backend.agent(ASKER, BEACON)
    assert (agent.id, agent.status, agent.verified) == (BEACON, "active", False)
    assert agent.started_at < datetime.now(UTC)
    assert "gatewayToken" not in await backend.config(ASKER, BEACON)
    assert (await backend.logs(ASKER, BEACON, 1, "info")).total == 2
    assert (await backend.verification(ASKER, BEACON)).verified is False
    assert len(await backend.token(ASKER, BEACON)) == 64
    assert (await backend.instance_stats(ASKER, BEACON)).agent_id == BEACON


async def test_every_order_is_understood(backend):
    for order, status in (("stop", "stopped"), ("start", "active"), ("restart", "active"), ("update", "active")):
        assert (await backend.lifecycle(ASKER, BEACON, order)).status == status
    for order in ("repair", "reset-memory"):
        assert (await backend.lifecycle(ASKER, BEACON, order)).message
    assert await backend.put_config(ASKER, BEACON, {"model": "m"}) == {"model": "m"}
    request = VerifyRequest("ens", signature="0x1", wallet_address="0x2")
    assert (await backend.verify(ASKER, BEACON, request)).verification_type == "ens"
    verification = await backend.verification(ASKER, BEACON)
    assert (verification.verifier_address, verification.metadata) == ("0x2", {"checkedBy": "demo"})
    await backend.unverify(ASKER, BEACON)
    assert (await backend.agent(ASKER, BEACON)).verified_at is None
    made = await backend.provision(ASKER, {"discordBotToken": "t", "email": ADA.email})
    assert (await backend.agent(ASKER, made.user_id)).url == made.url


async def test_the_service_believes_the_signed_identity(backend):
    bob, admin = (Actor("user_bob", "bob@example.com", is_admin=role) for role in (False, True))
    assert (await backend.agent(admin, BEACON)).id == BEACON
    with pytest.raises(UpstreamFailure) as caught:
        await backend.agent(bob, BEACON)
    assert (caught.value.reason, caught.value.status) == (Reason.STATUS, 403)

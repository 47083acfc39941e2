"""The agent management service."""

import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.backend import Backend, BackendHealth
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

HERE = Address.parse("http://backend.example.com")


def backend(upstream, address=HERE):
    return Backend(Pipe("backend", Policy(retries=0), upstream), address)


async def test_health():
    upstream = Upstream(captured("agentbot-backend/health"))
    assert await backend(upstream).health() == BackendHealth("ok")
    assert upstream.paths == ["/health"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (captured("agentbot-backend/rate-limited"), Reason.RATE_LIMITED),
        (captured("agentbot-backend/agent-get-404"), Reason.STATUS),
        (captured("openclaw/root-2026.4.2"), Reason.MALFORMED),
        (json_answer({"status": None}), Reason.MALFORMED),
    ],
)
async def test_anything_else_is_a_failure(answer, reason):
    with pytest.raises(UpstreamFailure) as caught:
        await backend(Upstream(answer)).health()
    assert (caught.value.upstream, caught.value.reason) == ("backend", reason)


async def test_without_an_address_it_is_disabled():
    with pytest.raises(UpstreamFailure) as caught:
        await backend(Upstream(), address=None).health()
    assert caught.value.reason is Reason.DISABLED

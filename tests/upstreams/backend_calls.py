"""The agent management service's client on answers played to it, and every call that it has."""

import pytest

from upstreams.backend import Actor, Backend, VerifyRequest
from upstreams.failure import UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

HERE = Address.parse("http://backend.example.com")
ADA = Actor("user_ada", "ada@example.com", is_admin=False)

# Each call of an agent as (what makes it, its method, its path below the agent).
OF_AN_AGENT = {
    "agent": (lambda it, who, agent: it.agent(who, agent), "GET", "/api/agents/{}"),
    "config": (lambda it, who, agent: it.config(who, agent), "GET", "/api/agents/{}/config"),
    "put_config": (lambda it, who, agent: it.put_config(who, agent, {"a": [1]}), "PUT", "/api/agents/{}/config"),
    "logs": (lambda it, who, agent: it.logs(who, agent, 50, None), "GET", "/api/agents/{}/logs"),
    "verification": (lambda it, who, agent: it.verification(who, agent), "GET", "/api/agents/{}/verification"),
    "verify": (
        lambda it, who, agent: it.verify(who, agent, VerifyRequest("ens")),
        "POST",
        "/api/agents/{}/verify",
    ),
    "unverify": (lambda it, who, agent: it.unverify(who, agent), "DELETE", "/api/agents/{}/verify"),
    "lifecycle": (lambda it, who, agent: it.lifecycle(who, agent, "stop"), "POST", "/api/agents/{}/stop"),
    "token": (lambda it, who, agent: it.token(who, agent), "GET", "/api/agents/{}/token"),
    "instance_stats": (
        lambda it, who, agent: it.instance_stats(who, agent),
        "GET",
        "/api/openclaw/instances/{}/stats",
    ),
}


def backend(upstream, address=HERE, api_key="the-api-key", signing_secret=None, provisioning=None):
    policy = Policy(retries=0)
    pipes = Pipe("backend", policy, upstream), Pipe("backend", policy, provisioning or upstream)
    return Backend(*pipes, address, api_key, signing_secret)


async def failure_of(asking):
    """Return the failure that the call ends with."""
    with pytest.raises(UpstreamFailure) as caught:
        await asking
    return caught.value

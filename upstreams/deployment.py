"""Deploying agents on the shared OpenClaw gateway (upstreams.md, "gateway and sessions")."""

from typing import Annotated, Any
from urllib.parse import quote

import httpx
import msgspec

from upstreams.pipe import Address, Pipe, enabled

_MAX_BYTES = 64 * 1024


class DeployOrder(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="deploy_agent"):
    """The agent to deploy; ``timestamp`` is ISO 8601."""

    agent_id: str
    user_id: str
    name: str
    model: str
    config: dict[str, Any]
    skills: list[str]
    timestamp: str


class Deployed(msgspec.Struct, frozen=True, rename="camel"):
    gateway_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


_DEPLOYED = msgspec.json.Decoder(Deployed)


class Deployment:
    """The internal key opens every user's agents, so it goes to the operator's own gateway and nowhere else."""

    def __init__(self, pipe: Pipe, shared: Address | None, internal_key: str | None) -> None:
        self._pipe = pipe
        self._shared = shared
        self._headers = None if internal_key is None else {"x-internal-key": internal_key}

    async def deploy(self, order: DeployOrder) -> str:
        """Return the gateway's id for the agent that it now runs. Raises UpstreamFailure."""
        deployed = await self._pipe.send(
            enabled(self._shared, self._pipe.upstream),
            "POST",
            "/api/agents/deploy",
            content=msgspec.json.encode(order),
            into=_DEPLOYED,
            headers=self._headers,
            max_bytes=_MAX_BYTES,
        )
        return deployed.gateway_id

    def websocket_url(self, user_id: str) -> str | None:
        """Return where a user's agents are talked to, None without a shared gateway."""
        if self._shared is None:
            return None
        url = httpx.URL(self._shared.base)
        scheme = "wss" if url.scheme == "https" else "ws"
        return f"{scheme}://{url.netloc.decode()}/agent/{quote(user_id, safe='')}"

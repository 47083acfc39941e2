"""The typed client of the agent management service."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import msgspec

from upstreams.backend.identity import Actor, signed
from upstreams.backend.models import (
    BackendAgent,
    BackendHealth,
    InstanceStats,
    LifecycleResult,
    LogPage,
    Provisioned,
    Result,
    Token,
    Verification,
    Verified,
    VerifyRequest,
    decoder,
)
from upstreams.backend.objects import PublicObject
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, enabled

R = TypeVar("R", bound=Result)
T = TypeVar("T")

LifecycleAction = Literal["start", "stop", "restart", "update", "repair", "reset-memory"]

_MAX_BYTES: Final = 64 * 1024
_MAX_CONFIG_BYTES: Final = 2 * 1024 * 1024
_MAX_LOG_BYTES: Final = 2 * 1024 * 1024
_MAX_ID_CHARS: Final = 255

_HEALTH = decoder(BackendHealth)
_AGENT = decoder(BackendAgent)
_CONFIG = decoder(PublicObject)
_LOGS = decoder(LogPage)
_VERIFICATION = decoder(Verification)
_VERIFIED = decoder(Verified)
_RESULT = decoder(Result)
_LIFECYCLE = decoder(LifecycleResult)
_TOKEN = decoder(Token)
_STATS = decoder(InstanceStats)
_PROVISIONED = decoder(Provisioned)


class Backend:
    """The service, asked on behalf of an ``Actor``. Every call raises UpstreamFailure.

    The identity is signed with ``signing_secret``, else with the API key. With neither it is not told at all:
    nobody could believe it. What cannot be asked safely (an id that is no path segment, an identity that no header
    can carry) fails as ``disabled`` before anything is sent. ``provision_pipe`` has provisioning's patience.
    """

    def __init__(
        self,
        pipe: Pipe,
        provision_pipe: Pipe,
        address: Address | None,
        api_key: str | None,
        signing_secret: str | None = None,
    ) -> None:
        self._pipe = pipe
        self._provision_pipe = provision_pipe
        self._address = address
        self._api_key = api_key
        self._secret = signing_secret or api_key

    async def health(self) -> BackendHealth:
        """Return what the service says of itself."""
        return await self._pipe.get(self._at(), "/health", into=_HEALTH, max_bytes=_MAX_BYTES)

    async def agent(self, actor: Actor, agent_id: str) -> BackendAgent:
        """Return the agent."""
        return await self._read(actor, self._agent_path(agent_id), _AGENT)

    async def config(self, actor: Actor, agent_id: str) -> dict[str, Any]:
        """Return the agent's configuration, without the secrets that the service keeps in it."""
        path = self._agent_path(agent_id) + "/config"
        return await self._read(actor, path, _CONFIG, max_bytes=_MAX_CONFIG_BYTES)

    async def put_config(self, actor: Actor, agent_id: str, config: dict[str, Any]) -> dict[str, Any]:
        """Replace the agent's configuration; return the new one like :meth:`config`."""
        return await self._send(
            actor,
            "PUT",
            self._agent_path(agent_id) + "/config",
            _CONFIG,
            content=msgspec.json.encode(config),
            max_bytes=_MAX_CONFIG_BYTES,
        )

    async def logs(self, actor: Actor, agent_id: str, limit: int, level: str | None) -> LogPage:
        """Return at most ``limit`` lines of the agent's log, of one level alone if given."""
        params: dict[str, str | int] = {"limit": limit} | ({} if level is None else {"level": level})
        path = self._agent_path(agent_id) + "/logs"
        return await self._read(actor, path, _LOGS, params=params, max_bytes=_MAX_LOG_BYTES)

    async def verification(self, actor: Actor, agent_id: str) -> Verification:
        """Return what is known of the agent's verification."""
        return await self._read(actor, self._agent_path(agent_id) + "/verification", _VERIFICATION)

    async def verify(self, actor: Actor, agent_id: str, request: VerifyRequest) -> Verified:
        """Have the agent verified; return its verification."""
        path = self._agent_path(agent_id) + "/verify"
        return await self._order(actor, "POST", path, _VERIFIED, content=msgspec.json.encode(request))

    async def unverify(self, actor: Actor, agent_id: str) -> None:
        """Remove the agent's verification."""
        await self._order(actor, "DELETE", self._agent_path(agent_id) + "/verify", _RESULT)

    async def lifecycle(self, actor: Actor, agent_id: str, action: LifecycleAction) -> LifecycleResult:
        """Have the agent's container started, stopped, ...; return what became of it."""
        path = f"{self._agent_path(agent_id)}/{action}"
        return await self._order(actor, "POST", path, _LIFECYCLE, content=b"{}")

    async def token(self, actor: Actor, agent_id: str) -> str:
        """Return the agent's gateway token, which the service creates when there is none."""
        return (await self._read(actor, self._agent_path(agent_id) + "/token", _TOKEN)).token

    async def instance_stats(self, actor: Actor, agent_id: str) -> InstanceStats:
        """Return what the agent's container uses."""
        return await self._read(actor, f"/api/openclaw/instances/{self._segment(agent_id)}/stats", _STATS)

    async def provision(self, actor: Actor, body: Mapping[str, str]) -> Provisioned:
        """Have an agent made with the channels that ``body`` (the service's field names) has the tokens of."""
        content = msgspec.json.encode(body)
        pipe = self._provision_pipe
        return await self._order(actor, "POST", "/api/provision", _PROVISIONED, content=content, pipe=pipe)

    async def _read(
        self,
        actor: Actor,
        path: str,
        into: msgspec.json.Decoder[T],
        *,
        params: Mapping[str, str | int] | None = None,
        max_bytes: int = _MAX_BYTES,
    ) -> T:
        return await self._pipe.get(
            self._at(),
            path,
            into=into,
            params=params,
            bearer=self._api_key,
            headers=self._identity(actor),
            max_bytes=max_bytes,
        )

    async def _order(
        self,
        actor: Actor,
        method: str,
        path: str,
        into: msgspec.json.Decoder[R],
        *,
        content: bytes | None = None,
        pipe: Pipe | None = None,
    ) -> R:
        result = await self._send(actor, method, path, into, content=content, pipe=pipe)
        if not result.success:
            raise UpstreamFailure(self._pipe.upstream, Reason.STATUS)
        return result

    async def _send(
        self,
        actor: Actor,
        method: str,
        path: str,
        into: msgspec.json.Decoder[T],
        *,
        content: bytes | None,
        pipe: Pipe | None = None,
        max_bytes: int = _MAX_BYTES,
    ) -> T:
        return await (pipe or self._pipe).send(
            self._at(),
            method,
            path,
            into=into,
            content=content,
            bearer=self._api_key,
            headers=self._identity(actor),
            max_bytes=max_bytes,
        )

    def _at(self) -> Address:
        return enabled(self._address, self._pipe.upstream)

    def _identity(self, actor: Actor) -> dict[str, str]:
        try:
            return {} if self._secret is None else signed(actor, self._secret)
        except ValueError:
            raise UpstreamFailure(self._pipe.upstream, Reason.DISABLED) from None

    def _agent_path(self, agent_id: str) -> str:
        return f"/api/agents/{self._segment(agent_id)}"

    def _segment(self, text: str) -> str:
        if text in {"", ".", ".."} or len(text) > _MAX_ID_CHARS or not text.isprintable():
            raise UpstreamFailure(self._pipe.upstream, Reason.DISABLED)
        return quote(text, safe="")

"""Every upstream client of the gateway, built once from the settings on one transport."""

from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import SecretStr

from bff.memberships import Memberships
from bff.settings import HttpPolicy, HttpUpstream, Settings, address_of
from bff.settings import UserStore as UserStoreSettings
from bff.vault import Vault
from upstreams.backend import Backend
from upstreams.chat import Chat
from upstreams.clerk import ClerkApi, ClerkKeys
from upstreams.codex import Codex
from upstreams.deployment import Deployment
from upstreams.gateway import Gateway, GatewayDirectory, RefusedTokens
from upstreams.metrics import Metrics
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.services import Service, Services
from upstreams.sessions import Sessions
from upstreams.transport import LeanTransport
from upstreams.user_store import UserStore

# contract.md, "health": each service is probed with 4 s.
_PROBES = Policy(timeout=4.0, deadline=4.0, retries=0)

# What a deployment that has just run out of time may still need to be written down as failed.
_ABANDONED_MARGIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Clients:
    """``vault`` is None without an encryption key. Deployments older than ``abandoned_after`` seconds failed."""

    user_store: UserStore
    gateway: Gateway
    sessions: Sessions
    chat: Chat
    deployment: Deployment
    metrics: Metrics
    backend: Backend
    services: Services
    codex: Codex
    clerk_keys: ClerkKeys
    memberships: Memberships
    vault: Vault | None
    abandoned_after: float
    transport: httpx.AsyncBaseTransport

    @classmethod
    def build(cls, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Self:
        """Return the clients that ``settings`` describes. Nothing is connected before it is needed."""
        transport = transport or LeanTransport()
        up = settings.upstreams
        at = up.gateway.address
        keys = settings.auth.encryption_keys

        def pipe(name: str, upstream: HttpPolicy) -> Pipe:
            return Pipe(name, upstream.policy, transport)

        def patient(name: str, upstream: HttpUpstream, deadline: float) -> Pipe:
            # A pipe of its own: what takes long holds no place that others need.
            return Pipe(name, upstream.patient(deadline), transport)

        def directory(shared: Address | None) -> GatewayDirectory:
            return GatewayDirectory(shared, _reveal(up.gateway.token), HostRules(up.gateway.allowed_hosts, at))

        refused = RefusedTokens()
        return cls(
            user_store=_user_store(up.user_store),
            gateway=Gateway(pipe("gateway", up.gateway), directory(at)),
            sessions=Sessions(pipe("sessions", up.sessions), directory(up.sessions.address or at), refused),
            chat=Chat(patient("gateway", up.gateway, up.gateway.chat_deadline), directory(at), refused),
            deployment=Deployment(
                patient("gateway", up.gateway, up.gateway.deploy_deadline), at, _reveal(up.gateway.internal_key)
            ),
            metrics=Metrics(pipe("metrics", up.metrics), up.metrics.address, _reveal(up.metrics.api_key)),
            backend=Backend(
                pipe("backend", up.backend),
                patient("backend", up.backend, up.backend.provision_deadline),
                up.backend.address,
                _reveal(up.backend.api_key),
                _reveal(up.backend.signing_secret),
            ),
            services=Services(
                Pipe("services", _PROBES, transport),
                [Service.parse(each.name, each.url) for each in settings.monitored_services],
            ),
            codex=Codex(pipe("codex", up.codex), up.codex.address),
            clerk_keys=ClerkKeys(pipe("clerk", up.clerk), address_of(up.clerk.jwks_url)),
            memberships=Memberships(
                ClerkApi(pipe("clerk", up.clerk), address_of(up.clerk.api_url), _reveal(up.clerk.secret_key))
            ),
            vault=Vault(keys) if keys else None,
            abandoned_after=up.gateway.deploy_deadline + _ABANDONED_MARGIN_SECONDS,
            transport=transport,
        )

    async def close(self) -> None:
        await self.memberships.close()
        await self.transport.aclose()
        await self.user_store.close()


def _user_store(settings: UserStoreSettings) -> UserStore:
    return UserStore(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        pool_wait=settings.pool_wait,
        connect_timeout=settings.connect_timeout,
        statement_timeout=settings.statement_timeout,
        failures=settings.breaker.failures,
        ratio=settings.breaker.ratio,
        volume=settings.breaker.volume,
        open_for=settings.breaker.open_for,
    )


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

"""Every upstream client of the gateway, built once from the settings on one transport."""

from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import SecretStr

from bff.settings import HttpUpstream, Settings
from upstreams.backend import Backend
from upstreams.gateway import Gateway, GatewayDirectory
from upstreams.metrics import Metrics
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.services import Service, Services
from upstreams.sessions import Sessions
from upstreams.transport import LeanTransport
from upstreams.user_store import UserStore

# contract.md, "health": each service is probed with 4 s.
_PROBES = Policy(timeout=4.0, deadline=4.0, retries=0)


@dataclass(frozen=True, slots=True)
class Clients:
    user_store: UserStore
    gateway: Gateway
    sessions: Sessions
    metrics: Metrics
    backend: Backend
    services: Services
    transport: httpx.AsyncBaseTransport

    @classmethod
    def build(cls, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> Self:
        """Return the clients that ``settings`` describes. Nothing is connected before it is needed."""
        transport = transport or LeanTransport()
        up = settings.upstreams

        def pipe(name: str, upstream: HttpUpstream) -> Pipe:
            return Pipe(name, upstream.policy, transport)

        def directory(shared: Address | None) -> GatewayDirectory:
            return GatewayDirectory(
                shared, _reveal(up.gateway.token), HostRules(up.gateway.allowed_hosts, up.gateway.address)
            )

        return cls(
            user_store=UserStore(
                up.user_store.url.get_secret_value(),
                pool_size=up.user_store.pool_size,
                pool_wait=up.user_store.pool_wait,
                connect_timeout=up.user_store.connect_timeout,
                statement_timeout=up.user_store.statement_timeout,
                failures=up.user_store.breaker.failures,
                open_for=up.user_store.breaker.open_for,
            ),
            gateway=Gateway(pipe("gateway", up.gateway), directory(up.gateway.address)),
            sessions=Sessions(pipe("sessions", up.sessions), directory(up.sessions.address or up.gateway.address)),
            metrics=Metrics(pipe("metrics", up.metrics), up.metrics.address, _reveal(up.metrics.api_key)),
            backend=Backend(pipe("backend", up.backend), up.backend.address),
            services=Services(
                Pipe("services", _PROBES, transport),
                [Service.parse(each.name, each.url) for each in settings.monitored_services],
            ),
            transport=transport,
        )

    async def close(self) -> None:
        await self.transport.aclose()
        await self.user_store.close()


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()

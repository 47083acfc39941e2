"""The whole pretend platform in one event loop: every upstream on its port, and the port that controls them."""

import asyncio
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from demo import clerk, codex, gateway, metrics, metrics_stats, services
from demo.asgi import Answer, json_answer
from demo.backend import Backend
from demo.faults import describe
from demo.limits import PerMinute
from demo.listener import Listener
from demo.people import (
    ADMIN,
    BACKEND_API_KEY,
    ENCRYPTION_KEY,
    INTERNAL_KEY,
    METRICS_API_KEY,
    SHARED_GATEWAY_TOKEN,
)
from demo.upstream import SWITCH, Upstream

BACKEND_REQUESTS_A_MINUTE = 12_000  # the real service's 120 would be the limit of all who share this machine


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each upstream; 0 is any free one. One that is taken gives way to a free one."""

    control: int = 9100
    gateway: int = 9101
    metrics: int = 9102
    backend: int = 9103
    agentbot_api: int = 9104
    tempo_soul: int = 9105
    x402_gateway: int = 9106
    clerk: int = 9107
    codex: int = 9108

    @classmethod
    def free(cls) -> Self:
        """Return free ports."""
        return cls(*(0,) * len(astuple(cls())))

    @classmethod
    def counted_from(cls, base: int) -> Self:
        """Return the ports from ``base`` on, the control port first."""
        return cls(*range(base, base + len(astuple(cls()))))


# The same in all of a process: making a key, or a year of conversations, takes a while.
_clerk = cache(clerk.Clerk)
_stats = cache(metrics_stats.routes)


class Platform:
    """Every upstream, running inside ``async with``; ``urls`` has the address of each by its name."""

    def __init__(self, ports: Ports | None = None, host: str = "127.0.0.1") -> None:
        ports = ports or Ports()
        self.clerk = _clerk()
        figures = metrics.routes() | _stats()
        apps: dict[str, tuple[dict[str, ASGIApp], ASGIApp, int]] = {
            "gateway": (gateway.routes(datetime.now(UTC)), gateway.PAGE, ports.gateway),
            "metrics": (figures, metrics.NOT_FOUND, ports.metrics),
            "backend": (services.backend_routes(), Backend(PerMinute(BACKEND_REQUESTS_A_MINUTE)), ports.backend),
        }
        monitored_ports = (ports.agentbot_api, ports.tempo_soul, ports.x402_gateway)
        for (name, (_, health)), port in zip(services.MONITORED.items(), monitored_ports, strict=True):
            apps[name] = ({services.HEALTH: health}, services.NOT_FOUND, port)
        apps["clerk"] = (clerk.routes(self.clerk), clerk.BackendApi(self.clerk), ports.clerk)
        apps["codex"] = (codex.routes(), codex.NOT_FOUND, ports.codex)
        self.upstreams = {
            name: Upstream(name, routes, otherwise, host=host, port=port)
            for name, (routes, otherwise, port) in apps.items()
        }
        self._control = Listener(Control(self.upstreams), host, ports.control)

    async def __aenter__(self) -> Self:
        for upstream in self.upstreams.values():
            await upstream.open()
        await self._control.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._control.close(), *(one.close() for one in self.upstreams.values()))

    @property
    def urls(self) -> dict[str, str]:
        return {name: upstream.url for name, upstream in self.upstreams.items()}

    @property
    def control_url(self) -> str:
        return self._control.url

    @property
    def monitored_services(self) -> list[tuple[str, str]]:
        """Return the display name and the health URL of each monitored service."""
        return [(title, self.urls[name] + services.HEALTH) for name, (title, _) in services.MONITORED.items()]

    def settings(self, store: Path) -> dict[str, Any]:
        """Return the gateway's configuration that makes it use this platform and the SQLite file ``store``."""
        return {
            "auth": {"admin_emails": [ADMIN.email], "encryption_key": ENCRYPTION_KEY},
            "monitored_services": [{"name": name, "url": url} for name, url in self.monitored_services],
            "upstreams": {
                "user_store": {"url": f"sqlite+aiosqlite:///{store}"},
                "gateway": {
                    "url": self.urls["gateway"],
                    "token": SHARED_GATEWAY_TOKEN,
                    "internal_key": INTERNAL_KEY,
                    "allowed_hosts": ["127.0.0.1", "localhost"],
                },
                "backend": {"url": self.urls["backend"], "api_key": BACKEND_API_KEY},
                "metrics": {"url": self.urls["metrics"], "api_key": METRICS_API_KEY},
                "codex": {"url": self.urls["codex"]},
                "clerk": {
                    "jwks_url": self.urls["clerk"] + clerk.JWKS,
                    "issuer": clerk.ISSUER,
                    "api_url": self.urls["clerk"],
                    "secret_key": clerk.SECRET_KEY,
                    "authorized_parties": [clerk.AUTHORIZED_PARTY],
                },
            },
        }


class Control:
    """The port that reaches the fault switch of an upstream also while that upstream refuses connections."""

    def __init__(self, upstreams: dict[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._switches: dict[str, ASGIApp] = {
            f"/{name}{SWITCH}": upstream.switch for name, upstream in upstreams.items()
        }
        self._not_found = json_answer({"error": "Not found", "paths": ["/", *self._switches]}, 404)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        app = self._overview() if path == "/" else self._switches.get(path, self._not_found)
        await app(scope, receive, send)

    def _overview(self) -> Answer:
        return json_answer(
            {
                name: {"url": upstream.url, "faults": describe(upstream.faults)}
                for name, upstream in self._upstreams.items()
            }
        )

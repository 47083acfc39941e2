"""The gateway on the pretend platform, over real sockets, with every upstream's faults at hand."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from bff.app import Gateway
from bff.configuration import validate
from bff.plans import Access, Plan
from demo import gateway, services
from demo.faults import Faults
from demo.people import ADMIN
from demo.platform import Platform, Ports
from demo.upstream import Upstream

BOB = "demo-session-bob"  # whose gateway is the shared one, so that it can fail apart from the sessions' one
WITHIN = 8.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    content: bytes
    seconds: float

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    @property
    def lasting(self) -> Any:
        """The body without what describes this very moment."""
        return {name: value for name, value in self.body.items() if name not in {"meta", "timestamp"}}

    @property
    def is_complete(self) -> bool:
        return self.status == 200 and "bff-degraded" not in self.headers


class Rig:
    def __init__(self, platform: Platform, sessions: Upstream, gateway: Gateway) -> None:
        self._upstreams = {
            "gateway": [platform.upstreams["gateway"]],
            "metrics": [platform.upstreams["metrics"]],
            "sessions": [sessions],
            "services": [platform.upstreams[name] for name in services.MONITORED],
        }
        self.flights = gateway._answers._flights._flights
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway.public), base_url="http://bff")

    async def ask(self, plan: Plan[Any], *, who: str | None = None, anew: bool = True, query: str = "") -> Answer:
        """Ask for the plan's answer; ``anew``: not for a kept one."""
        token = who or (ADMIN.session_token if plan.access is Access.ADMIN else BOB)
        headers = {"Cookie": f"agentbot-session={token}"} | ({"Cache-Control": "no-cache"} if anew else {})
        started = time.monotonic()
        answer = await self._client.get(plan.path + query, headers=headers)
        return Answer(answer.status_code, answer.headers, answer.content, time.monotonic() - started)

    async def misbehave(self, upstream: str, faults: Faults | None) -> None:
        """Have the upstream that a source names misbehave from now on; None: no more."""
        for each in self._upstreams[upstream]:
            await each.misbehave(faults)

    def count(self, upstream: str, path: str) -> Callable[[], int]:
        """Return what tells how often ``path`` has been asked for since."""
        asked = 0
        routes = self._upstreams[upstream][0]._routes
        answer = routes[path]

        async def counting(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal asked
            asked += 1
            await answer(scope, receive, send)

        routes[path] = counting
        return lambda: asked


@asynccontextmanager
async def rig(store: str, more: Mapping[str, Any] | None = None) -> AsyncIterator[Rig]:
    """Run the platform and a gateway on ``store``, patient for 0.3 s with each upstream; ``more`` settings win."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(Platform(Ports.free()))
        routes: dict[str, ASGIApp] = gateway.routes(datetime.now(UTC))
        sessions = Upstream("sessions", routes, gateway.PAGE, host="127.0.0.1", port=0)
        await sessions.open()
        stack.push_async_callback(sessions.close)
        settings = platform.settings(Path("unused"))
        quick = {"timeout": 0.3, "breaker": {"open_for": 0.05}}
        for name, upstream in (("sessions", {"url": sessions.url}), ("gateway", {}), ("metrics", {})):
            settings["upstreams"].setdefault(name, {}).update(upstream | quick)
        settings["upstreams"]["user_store"] = {
            "url": store,
            "statement_timeout": 0.3,
            "connect_timeout": 0.3,
            "pool_wait": 0.3,
            "breaker": {"open_for": 0.05},
        }
        built = Gateway(validate(_merged(settings, more or {})))
        stack.push_async_callback(built.close)
        yield Rig(platform, sessions, built)


def _merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(values[name], over[name])
        for name in values.keys() & over.keys()
        if isinstance(over[name], dict)
    }
    return {**values, **over, **both}


async def until(holds: Callable[[], Any], within: float = WITHIN) -> Any:
    """Return what ``holds()`` gives (or is awaited to give) as soon as it is true."""
    async with asyncio.timeout(within):
        while True:
            value = holds()
            value = await value if asyncio.iscoroutine(value) else value
            if value:
                return value
            await asyncio.sleep(0.01)

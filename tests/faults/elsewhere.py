"""The dashboards whose sessions are not the platform's, on the pretend platform: who asks them and how."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from bff.app import Gateway
from bff.configuration import validate
from bff.edge.short_way import Request
from bff.endpoints import PLANS
from demo import clerk, codex
from demo.faults import Faults
from demo.people import Person
from demo.platform import Platform, Ports
from tests.faults.lines import Lines
from tests.faults.rig import OFTEN, PATIENCE, Answer, Ear
from tests.faults.table import LATE
from upstreams.clerk import ClerkKeys

BY_NAME = {plan.name: plan for plan in PLANS}
STATS, OVERVIEW, MODELS = (BY_NAME[name] for name in ("dashboard.getStats", "codex.overview", "codex.models"))
OWN = f"{STATS.path}?from=2020-01-01&to=2040-01-01"
EVERYBODYS = f"{OWN}&allInOrg=true"
BY_METADATA = f"{EVERYBODYS}&metadataKey=department"
UPSTREAMS = ("metrics", "clerk", "codex")
UNBROKEN: dict[str, Any] = {"breaker": {"failures": OFTEN}}


class Elsewhere:
    """A gateway on a platform of which only what these dashboards need is there."""

    def __init__(self, platform: Platform, instance: clerk.Clerk, lines: Lines, gateway: Gateway) -> None:
        self.clerk = instance
        self.lines = lines
        self.keys: ClerkKeys = gateway.clients.clerk_keys
        self._ears = {name: Ear(platform.upstreams[name]) for name in UPSTREAMS}
        self._edge = gateway.public
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway.public), base_url="http://bff")

    async def ask(self, url: str, *, anew: bool = True, **headers: str) -> Answer:
        """Ask with these headers; ``anew``: not for a kept answer."""
        fields = headers | ({"Cache-Control": "no-cache"} if anew else {})
        started = time.monotonic()
        answer = await self._client.get(url, headers=fields)
        return Answer(answer.status_code, answer.headers, answer.content, time.monotonic() - started)

    def at_once(self, url: str, **headers: str) -> bytes | None:
        """Return the response that the short way has, if any."""
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        return self._edge.at_once(Request(url.encode(), fields, server_lines=b"", client=None))

    async def ask_as(self, person: Person, url: str = BY_METADATA, *, anew: bool = True, **claims: Any) -> Answer:
        """Ask with a token of the person's; ``claims`` go over it."""
        return await self.ask(url, anew=anew, Authorization=f"Bearer {self.clerk.token(person.id, **claims)}")

    async def ask_codex(self, session: str = codex.SESSION, *, anew: bool = True) -> list[Answer]:
        """Return the overview and the models, asked for at once."""
        cookie = f"dashboard_session={session}"
        asked = (self.ask(plan.path, anew=anew, Cookie=cookie) for plan in (OVERVIEW, MODELS))
        return await asyncio.gather(*asked)

    async def misbehave(self, upstream: str, fault: Faults | ASGIApp | None) -> None:
        """Have the upstream misbehave from now on, or answer so; None: no more."""
        ear = self._ears[upstream]
        ear.instead = None if isinstance(fault, Faults) else fault
        await ear.upstream.misbehave(fault if isinstance(fault, Faults) else None)

    def misbehave_at(self, upstream: str, path: str, answer: ASGIApp) -> None:
        self._ears[upstream].instead_at[path] = answer

    def count(self, upstream: str, path: str) -> Callable[[], int]:
        """Return what tells how often ``path`` has been asked for since."""
        ear, asked = self._ears[upstream], f"GET {path}"
        before = ear.heard[asked]
        return lambda: ear.heard[asked] - before


def facing(fault: str) -> dict[str, Any]:
    """Return the policy for a test of this fault."""
    return UNBROKEN | {"timeout": PATIENCE} if fault in LATE else UNBROKEN


@asynccontextmanager
async def elsewhere(
    instance: clerk.Clerk | None = None, policy: Mapping[str, Any] | None = None, *, wired: bool = False
) -> AsyncIterator[Elsewhere]:
    """Run the platform and a gateway with this ``policy`` (else one without a breaker) for each upstream.

    The members are those of ``instance``, if given. There is no user store: nobody needs it. ``wired``: with lines
    to the upstreams.
    """
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(Platform(Ports.free()))
        instance = instance or platform.clerk
        upstream = platform.upstreams["clerk"]
        upstream._routes |= clerk.routes(instance)
        upstream._otherwise = clerk.BackendApi(instance)
        settings = platform.settings(Path("/nowhere"))
        for name in UPSTREAMS:
            settings["upstreams"][name] |= policy or UNBROKEN
        urls = {name: [platform.urls[name]] for name in UPSTREAMS}
        lines = await stack.enter_async_context(Lines.to(urls if wired else {}))
        settings = lines.used_by(settings)
        gateway = Gateway(validate(settings))
        stack.push_async_callback(gateway.close)
        yield Elsewhere(platform, instance, lines, gateway)

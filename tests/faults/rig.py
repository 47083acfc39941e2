"""The gateway on the pretend platform, over real sockets, with every upstream's faults at hand."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from bff.app import Gateway
from bff.configuration import validate
from bff.plans import Operation
from demo import gateway, services
from demo.asgi import json_answer
from demo.backend import Backend
from demo.faults import Faults
from demo.platform import Platform, Ports
from demo.upstream import Upstream
from tests.faults.lines import Lines
from tests.faults.questions import asker, content, method, url
from tests.faults.table import LATE

WITHIN = 8.0
PATIENCE = 0.5
WITH_A_BROKEN_STORE = 0.3  # less than one statement takes byte by byte
OFTEN = 1_000_000
HTTP = ("gateway", "sessions", "metrics", "backend")

# For tests of the faults, each as it is: no breaker hides one behind another.
UNBROKEN: dict[str, Any] = {"upstreams": {name: {"breaker": {"failures": OFTEN}} for name in HTTP}}

# What the upstream may take that is late in a test: it is waited for that long.
IN_A_HURRY: dict[str, dict[str, float]] = {
    **{name: {"timeout": PATIENCE} for name in HTTP},
    "gateway": {"timeout": PATIENCE, "chat_deadline": PATIENCE, "deploy_deadline": PATIENCE},
    "backend": {"timeout": PATIENCE, "provision_deadline": PATIENCE},
}

# For tests of a store that breaks: what it may take, in the time of which nothing else is told apart.
IN_A_HURRY_WITH_THE_STORE = {
    "statement_timeout": WITH_A_BROKEN_STORE,
    "connect_timeout": WITH_A_BROKEN_STORE,
    "pool_wait": WITH_A_BROKEN_STORE,
}


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
        return 200 <= self.status < 300 and "bff-degraded" not in self.headers


class Ear:
    """Stands before an upstream: hears every request that reaches it, and may answer ``instead``."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.instead: ASGIApp | None = None
        self.instead_at: dict[str, ASGIApp] = {}
        self.heard: Counter[str] = Counter()
        upstream._listener._config.app = self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard[f"{scope['method']} {scope['path']}"] += 1
        instead = self.instead_at.get(scope["path"], self.instead)
        await (instead or self.upstream)(scope, receive, send)


class Rig:
    """One gateway, and the ears of the upstreams, and the lines to them, that it may share with others."""

    def __init__(self, ears: Mapping[str, Sequence[Ear]], lines: Lines, gateway: Gateway) -> None:
        self.lines = lines
        self._ears = ears
        self.gateway = gateway
        self.flights = gateway._answers._flights._flights
        self.users = gateway.clients.user_store
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway.public), base_url="http://bff")

    async def ask(
        self, operation: Operation[Any], *, who: str | None = None, anew: bool = True, query: str = ""
    ) -> Answer:
        """Ask for the operation; ``who``: a session token; ``anew``: not for a kept answer."""
        cookie = {"Cookie": f"agentbot-session={who or asker(operation).session_token}"}
        headers = cookie | ({"Cache-Control": "no-cache"} if anew else {})
        started = time.monotonic()
        answer = await self._client.request(
            method(operation), url(operation, query), headers=headers, content=content(operation)
        )
        return Answer(answer.status_code, answer.headers, answer.content, time.monotonic() - started)

    async def ask_all(self, operations: Iterable[Operation[Any]], **how: Any) -> dict[str, Answer]:
        """Ask for all of them at once; return the answers by the operations' names."""
        asked = list(operations)
        answers = await asyncio.gather(*(self.ask(each, **how) for each in asked))
        return {each.name: answer for each, answer in zip(asked, answers, strict=True)}

    async def complete(self, operations: Iterable[Operation[Any]]) -> dict[str, Answer]:
        """Return the complete answers to all of them, however long the first ones take to be made ready."""
        asked = list(operations)

        async def answers() -> dict[str, Answer] | None:
            given = await self.ask_all(asked)
            return given if all(answer.is_complete for answer in given.values()) else None

        found: dict[str, Answer] = await until(answers)
        return found

    async def answers_again(self, operations: Iterable[Operation[Any]], before: Mapping[str, Answer]) -> bool:
        """Return whether all of them are answered as they were before."""
        again = await self.ask_all(operations)
        return all(each.is_complete and each.lasting == before[name].lasting for name, each in again.items())

    async def misbehave(self, upstream: str, fault: Faults | ASGIApp | None) -> None:
        """Have the upstream that a source names misbehave from now on, or answer so; None: no more."""
        for ear in self._ears[upstream]:
            ear.instead = None if isinstance(fault, Faults) else fault
            await ear.upstream.misbehave(fault if isinstance(fault, Faults) else None)

    def misbehave_at(self, upstream: str, path: str, answer: ASGIApp) -> None:
        """Have the upstream answer so at this path alone, from now on."""
        for ear in self._ears[upstream]:
            ear.instead_at[path] = answer

    def gate(self, upstream: str, before: Callable[[ASGIApp], ASGIApp]) -> None:
        """Put what ``before`` makes of it in the upstream's place."""
        for ear in self._ears[upstream]:
            ear.instead = before(ear.upstream)

    def heard(self, *upstreams: str) -> Counter[str]:
        """Return which requests have reached these upstreams, all without a name, and how often each."""
        return sum((ear.heard for name in upstreams or self._ears for ear in self._ears[name]), Counter())

    def count(self, upstream: str, path: str) -> Callable[[], int]:
        """Return what tells how often ``path`` has been asked for since."""

        def all_in_all() -> int:
            return sum(times for asked, times in self.heard(upstream).items() if asked.endswith(f" {path}"))

        before = all_in_all()
        return lambda: all_in_all() - before


@asynccontextmanager
async def rig(store: str, more: Mapping[str, Any] | None = None, *, wired: bool = False) -> AsyncIterator[Rig]:
    """Run the platform and a gateway on ``store``; ``more`` settings win. ``wired``: with lines between."""
    async with replicas(store, [more or {}], wired=wired) as (only,):
        yield only


@asynccontextmanager
async def replicas(
    store: str, more: Sequence[Mapping[str, Any]], *, wired: bool = False
) -> AsyncIterator[list[Rig]]:
    """Run the platform and on ``store`` as many gateways as there are settings that win over the rig's."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(Platform(Ports.free()))
        now = datetime.now(UTC)
        routes: dict[str, ASGIApp] = gateway.routes(now)
        sessions = Upstream("sessions", routes, gateway.PAGE, host="127.0.0.1", port=0)
        await sessions.open()
        stack.push_async_callback(sessions.close)
        _stop_the_clocks(platform, now)
        ears = _ears(platform, sessions)
        urls = {name: [ear.upstream.url for ear in each] for name, each in ears.items()}
        lines = await stack.enter_async_context(Lines.to(urls if wired else {}))
        settings = lines.used_by(_settings(platform, sessions.url, store))
        rigs = []
        for each in more:
            built = Gateway(validate(merged(settings, each)))
            stack.push_async_callback(built.close)
            await built.open()
            rigs.append(Rig(ears, lines, built))
        yield rigs


def _ears(platform: Platform, sessions: Upstream) -> dict[str, list[Ear]]:
    ears = {name: Ear(upstream) for name, upstream in platform.upstreams.items()}
    monitored = {"services": [ears[name] for name in services.MONITORED]}
    single = {name: [ears[name]] for name in ("gateway", "metrics", "backend")}
    return {**single, "sessions": [Ear(sessions)], **monitored}


def _stop_the_clocks(platform: Platform, now: datetime) -> None:
    """Have the figures of this moment stay as they are."""
    backend = platform.upstreams["backend"]._otherwise
    assert isinstance(backend, Backend)
    backend._clock = lambda: now
    ready = json_answer({"ready": True, "failing": [], "uptimeMs": 86_400_000})
    platform.upstreams["gateway"]._routes["/readyz"] = ready


def _settings(platform: Platform, sessions: str, store: str) -> dict[str, Any]:
    settings = platform.settings(Path("unused"))
    settings["upstreams"] |= {"sessions": {"url": sessions}, "user_store": {"url": store}}
    for name in (*HTTP, "user_store"):
        settings["upstreams"][name]["breaker"] = {"open_for": 0.05}
    return settings | {"limits": {"provision_per_minute": OFTEN, "chat_per_minute": OFTEN}}


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, those of ``over`` where both have one, at every depth."""
    both = {
        name: merged(values[name], over[name])
        for name in values.keys() & over.keys()
        if isinstance(over[name], dict)
    }
    return {**values, **over, **both}


def facing(upstream: str, fault: str) -> dict[str, Any]:
    """Return the settings for a test of this fault of an HTTP upstream."""
    hurried = {upstream: IN_A_HURRY[upstream]} if fault in LATE and upstream in IN_A_HURRY else {}
    return merged(UNBROKEN, {"upstreams": hurried})


async def until(holds: Callable[[], Any], within: float = WITHIN) -> Any:
    """Return what ``holds()`` gives (or is awaited to give) as soon as it is true."""
    async with asyncio.timeout(within):
        while True:
            value = holds()
            value = await value if asyncio.iscoroutine(value) else value
            if value:
                return value
            await asyncio.sleep(0.01)

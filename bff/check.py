"""``bff check``: whether the configuration is good and everything it names answers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bff import log
from bff.clients import Clients
from bff.clock import monotonic
from bff.metrics import Metrics
from bff.redis import Redis
from bff.settings import Settings
from upstreams.backend import Actor
from upstreams.codex import CodexRefusal
from upstreams.failure import Reason, UpstreamFailure
from upstreams.services import ServiceStatus
from upstreams.user_store import Account

_NOBODY = "bff-check"


@dataclass(frozen=True, slots=True)
class Finding:
    upstream: str
    result: str
    detail: str
    milliseconds: float | None = None

    @property
    def is_error(self) -> bool:
        return self.result == "failed"


def run(settings: Settings) -> int:
    """Ask each upstream once and print a table; return 1 when a configured one did not answer, else 0."""
    log.configure("error")  # the table says the rest
    findings = asyncio.run(find(settings))
    console = Console()
    table = Table("Upstream", "Result", "Time", "Detail", box=None, pad_edge=False)
    for each in findings:
        took = "" if each.milliseconds is None else f"{each.milliseconds:.0f} ms"
        table.add_row(each.upstream, each.result, took, each.detail)
    console.print(table)
    return int(any(each.is_error for each in findings))


async def find(settings: Settings) -> list[Finding]:
    """Return what asking each upstream once showed, all at the same time."""
    clients = Clients.build(settings)
    shared = Account(_NOBODY)
    try:
        asked = await asyncio.gather(
            _ask("user_store", clients.user_store.check_schema, "answers, and has every column"),
            _ask("gateway", lambda: clients.gateway.health(shared), "alive"),
            _ask("sessions", lambda: clients.sessions.list(shared), "lists conversations"),
            _ask("metrics", lambda: clients.metrics.cost(_NOBODY, 1), "reports costs"),
            _ask("chat", lambda: clients.chat.check(shared), "is on, and takes the token"),
            _ask("backend", lambda: _backend(clients), "answers, and takes the key"),
            _ask("codex", lambda: _codex(clients), "answers"),
            _ask("clerk keys", lambda: clients.clerk_keys.key(_NOBODY), "come from there"),
            _ask("clerk members", lambda: _members(clients), "answers, and takes the key"),
            _redis(settings),
        )
        services = await clients.services.probe_all()
    finally:
        await clients.close()
    return [*asked, *map(_service, services)]


async def _backend(clients: Clients) -> None:
    await clients.backend.health()
    try:
        await clients.backend.agent(Actor(_NOBODY, None, is_admin=False), _NOBODY)
    except UpstreamFailure as failure:
        if not _knows_nobody(failure):
            raise


async def _codex(clients: Clients) -> None:
    with contextlib.suppress(CodexRefusal):  # an answer too: nobody's cookie was sent
        await clients.codex.models(_NOBODY)


async def _members(clients: Clients) -> None:
    try:
        await clients.memberships.of(_NOBODY)
    except UpstreamFailure as failure:
        if not _knows_nobody(failure):
            raise


async def _redis(settings: Settings) -> Finding:
    url = settings.cache.redis_url
    if url is None:
        return Finding("redis", "disabled", "no URL is configured")
    redis = Redis(url.get_secret_value(), Metrics())
    started = monotonic()
    try:
        await redis.open()
        took = (monotonic() - started) * 1000
        if redis.is_up:
            return Finding("redis", "ok", "answers in time", took)
        return Finding("redis", "failed", "does not answer in time, or refuses", took)
    finally:
        await redis.close()


def _knows_nobody(failure: UpstreamFailure) -> bool:
    return failure.status == 404 and failure.in_json


async def _ask(upstream: str, ask: Callable[[], Awaitable[object]], good: str) -> Finding:
    started = monotonic()
    try:
        await ask()
    except UpstreamFailure as failure:
        took = (monotonic() - started) * 1000
        if failure.reason is Reason.DISABLED:
            return Finding(upstream, "disabled", "no URL is configured")
        return Finding(upstream, "failed", str(failure).partition(": ")[2], took)
    return Finding(upstream, "ok", good, (monotonic() - started) * 1000)


def _service(status: ServiceStatus) -> Finding:
    # A service that answers badly is what monitoring is for; one that is not there may be a typing error.
    result = "failed" if status.status == "down" else status.status
    return Finding(f"service {status.name}", result, status.detail)

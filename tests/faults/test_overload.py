"""Asked for three times what it can do, the gateway does as much as it can and says no to the rest at once.

The server is a process of its own, on CPUs that it shares with whoever asks and with whatever else this machine
runs. So its times are those of the seconds in which it could run: without those in which the kernel let it wait.
"""

import asyncio
import json
import math
import secrets
import statistics
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.open_loop import Job, Offered
from tests.e2e.process import Serving, serving

ROOT = Path(__file__).parents[2]
ATTEMPTS = 3
OVERVIEW = "/api/dashboard/overview"
REQUEST = "GET {path} HTTP/1.1\r\nhost: bff\r\ncookie: dashboard_session={session}\r\n\r\n"
KEPT = {"Cookie": "dashboard_session=kept"}
ACCOUNTS = 10_000  # to read them is much work for the gateway, and to send them little for whoever is asked


class Codex(asyncio.Protocol):
    """An upstream that costs next to nothing: it says the same each time."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            self._transport.write(USAGE if head.startswith(b"GET /api/reports") else ACCOUNT_LIST)


def _response(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


ACCOUNT_LIST = _response({"accounts": [{"status": "a"}] * ACCOUNTS, "summary": {"metrics": {"requests": 1}}})
USAGE = _response({"summary": {"totalInputTokens": 1, "totalOutputTokens": 1, "totalCostUsd": 1}})


@asynccontextmanager
async def codex() -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(Codex, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def asked(bff: Serving, *, rate: float, connections: int, seconds: float, warm_up: float = 0.0) -> Offered:
    """Have a process of its own ask, lest what else this one does is taken for the server's time."""
    port = httpx.URL(bff.public).port
    assert port is not None
    # Each asked by somebody else, so that no answer is any other's.
    request = REQUEST.format(path=OVERVIEW, session=f"{secrets.token_hex(4)}-{{n}}")
    job = Job(port, bff.process.pid, [request], rate, seconds, connections, warm_up)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.open_loop"), stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    told, _ = await process.communicate(json.dumps(asdict(job)).encode())
    assert process.returncode == 0
    return Offered(**json.loads(told))


@dataclass
class Seen:
    """What those were told who are always answered: who asks whether the process is well, or for what is kept."""

    healthy: list[bool] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@asynccontextmanager
async def watching(bff: Serving) -> AsyncIterator[Seen]:
    """Within, ask ten times a second, each time over a new connection."""
    seen = Seen()
    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as client:
        await client.get(f"{bff.public}{OVERVIEW}", headers=KEPT)
        task = asyncio.create_task(_watch(bff, client, seen))
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _watch(bff: Serving, client: httpx.AsyncClient, seen: Seen) -> None:
    probes = [port + path for port in (bff.public, bff.ops) for path in ("/livez", "/readyz")]
    while True:
        for url in probes:
            seen.healthy.append((await client.get(url)).is_success)
        kept = await client.get(f"{bff.public}{OVERVIEW}", headers=KEPT)
        seen.kept.append(kept.headers.get("cache-status", ""))
        await asyncio.sleep(0.1)


async def broken_promises(bff: Serving) -> list[str]:
    """Return what did not hold this time."""
    peak = await asked(bff, rate=0, connections=16, seconds=1.2)
    async with watching(bff) as seen:
        load = await asked(bff, rate=3 * peak.goodput, connections=400, seconds=2, warm_up=0.8)
    # The median: the half above it holds what whoever asks had to wait for itself.
    refused_after = statistics.median(load.refused or [math.inf]) * load.share
    promises = {
        f"{load.per_own_second:.0f}/s of {peak.per_own_second:.0f}/s": (
            load.per_own_second >= 0.8 * peak.per_own_second
        ),
        f"refused after {refused_after * 1000:.0f} ms": refused_after <= 0.02,
        f"healthy: {seen.healthy}": len(seen.healthy) >= 4 and all(seen.healthy),
        f"kept: {seen.kept}": seen.kept and all(each.startswith("bff; hit; ttl=") for each in seen.kept),
    }
    return [promise for promise, holds in promises.items() if not holds]


async def test_at_three_times_the_capacity_goodput_stays_and_the_rest_is_refused_at_once(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with codex() as url:
        upstreams = {"codex": {"url": url}, "user_store": {"url": sqlite_url}}
        async with serving({"upstreams": upstreams, "log": {"level": "warning"}}, tmp_path) as bff:
            await asked(bff, rate=0, connections=16, seconds=1)  # a process that has just begun is slow
            broken: list[str] = []
            for _ in range(ATTEMPTS):
                broken = await broken_promises(bff)
                if not broken:
                    break
            assert broken == []
            assert "overloaded: refusing requests" in [line["event"] for line in bff.logs]

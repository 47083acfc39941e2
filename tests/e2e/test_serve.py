"""``bff serve``: ready when it says so, on two ports, and gone when it is told, without losing a request."""

import asyncio
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bff.endpoints.dashboard_stats import ZEROED
from demo import store
from demo.faults import Faults
from demo.people import ADA, ADMIN
from demo.platform import Platform
from tests.e2e.process import Serving, serving
from tests.faults.rig import until
from tests.redis_servers import RedisServer
from tests.servers import PostgresServer
from tests.stores import Database

Settings = dict[str, Any]
Down = list[AbstractContextManager[None]]
SESSION = {"Cookie": f"agentbot-session={ADA.session_token}"}


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=10)


@contextmanager
def _stopped(server: PostgresServer | RedisServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@pytest.fixture
def down(postgres_server: PostgresServer, redis_server: RedisServer) -> Down:
    """Give what keeps the store and Redis away, each for as long as it is entered."""
    return [_stopped(postgres_server), _stopped(redis_server)]


async def test_both_ports_answer_once_the_ready_line_is_printed(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings, tmp_path) as bff, client() as http:
        for url in (bff.public, bff.ops):
            assert (await http.get(f"{url}/livez")).json() == {"status": "live"}
            assert (await http.get(f"{url}/readyz")).json() == {"status": "ready"}
        answer = await http.get(f"{bff.public}/api/dashboard/data", headers=SESSION)
        assert (answer.status_code, answer.json()["userId"]) == (200, ADA.id)
        assert (await http.get(f"{bff.ops}/api/dashboard/data", headers=SESSION)).status_code == 404


async def test_without_its_store_it_lives_but_is_not_ready(storeless: Settings, tmp_path: Path) -> None:
    async with serving(storeless, tmp_path) as bff, client() as http:
        public = await http.get(f"{bff.public}/readyz")
        ops = await http.get(f"{bff.ops}/readyz")

        assert (public.status_code, public.json()) == (503, {"status": "not ready"})
        assert (ops.status_code, ops.json()) == (503, {"status": "not ready", "reason": "user_store: refused"})
        assert public.headers["retry-after"].isdigit()
        assert (await http.get(f"{bff.public}/livez")).status_code == 200
        assert (await http.get(f"{bff.public}/api/dashboard/health")).status_code == 200


async def test_with_everything_down_it_lives_serves_what_it_can_and_recovers(
    settings: Settings, platform: Platform, postgres: Database, redis_url: str, down: Down, tmp_path: Path
) -> None:
    await postgres.fill(store.rows_of(datetime.now(UTC), platform.urls["gateway"]))
    await postgres.run("CHECKPOINT")  # what it has just been told outlives its crash
    settings["upstreams"]["user_store"] = {"url": postgres.url}
    settings |= {"cache": {"redis_url": redis_url}}
    policy = {"BFF_OPS__READY_NEEDS": "user_store,redis"}
    async with AsyncExitStack() as absent:
        for server in down:
            absent.enter_context(server)
        for upstream in platform.upstreams.values():
            await upstream.misbehave(Faults(refuse=True))
            absent.push_async_callback(upstream.misbehave, None)
        async with serving(settings, tmp_path, env=policy) as bff, client() as http:
            for url in (bff.public, bff.ops):
                assert (await http.get(f"{url}/livez")).json() == {"status": "live"}
            public, ops = await http.get(f"{bff.public}/readyz"), await http.get(f"{bff.ops}/readyz")
            assert (public.status_code, public.json()) == (503, {"status": "not ready"})
            reason = "user_store: refused, redis: down"
            assert (ops.status_code, ops.json()) == (503, {"status": "not ready", "reason": reason})
            stats = await http.get(f"{bff.public}/api/dashboard/stats", headers=SESSION)
            assert (stats.status_code, stats.json()) == (200, ZEROED.model_dump(by_alias=True))
            assert stats.headers["bff-degraded"] == "user_store;reason=refused"
            health = await http.get(f"{bff.public}/api/dashboard/health")
            assert {each["status"] for each in health.json()["services"]} == {"down"}
            assert "bff_redis_up 0.0" in await _figures(bff, http)

            await absent.aclose()

            async def is_well() -> bool:
                ready = await http.get(f"{bff.public}/readyz")
                data = await http.get(f"{bff.public}/api/dashboard/data", headers=SESSION)
                return ready.status_code == data.status_code == 200 and "bff-degraded" not in data.headers

            await until(is_well)
            assert "bff_redis_up 1.0" in await _figures(bff, http)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_8_signal_loses_no_request(
    settings: Settings, platform: Platform, tmp_path: Path, number: signal.Signals
) -> None:
    await platform.upstreams["gateway"].misbehave(Faults(latency=0.7))
    async with serving(settings, tmp_path) as bff, client() as http:
        answers = [await _send(bff, "/api/dashboard/data") for _ in range(20)]
        assert (await http.get(f"{bff.public}/livez")).status_code == 200  # so what was sent before has arrived
        started = time.monotonic()
        bff.process.send_signal(number)
        said = await http.get(f"{bff.ops}/readyz")
        heads = await asyncio.gather(*map(_status, answers))
        await bff.ended()

        assert (said.status_code, said.json()) == (503, {"status": "not ready", "reason": "draining"})
        assert heads == [b"HTTP/1.1 200 OK"] * 20
        assert time.monotonic() - started < 10
        assert [line["status"] for line in bff.logs if line.get("operation")] == [200] * 20


async def test_8_drains_for_less_than_ten_seconds_whatever_hangs(
    settings: Settings, platform: Platform, tmp_path: Path
) -> None:
    for upstream in platform.upstreams.values():
        await upstream.misbehave(Faults(hang=True))
    async with serving(settings, tmp_path) as bff, client() as http:
        answers = [await _send(bff, path) for path in ("/api/dashboard/data", "/api/dashboard/health")]
        assert (await http.get(f"{bff.public}/livez")).status_code == 200
        started = time.monotonic()
        bff.process.terminate()
        heads = await asyncio.gather(*map(_status, answers))
        await bff.ended()

    assert heads == [b"HTTP/1.1 200 OK"] * 2
    assert time.monotonic() - started < 10


async def test_without_descriptors_new_clients_are_closed_and_others_do_not_notice(
    settings: Settings, tmp_path: Path
) -> None:
    async with serving(settings, tmp_path) as bff, client() as http:
        assert (await http.get(f"{bff.public}/livez")).status_code == 200
        few = _open_files(bff.process.pid) + 10
        _, hard = resource.prlimit(bff.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(bff.process.pid, resource.RLIMIT_NOFILE, (few, hard))
        crowd = [await _send(bff, "/livez") for _ in range(50)]
        answers = await asyncio.gather(*(reader.read(15) for reader, _ in crowd), return_exceptions=True)
        assert 0 < answers.count(b"HTTP/1.1 200 OK") < len(crowd)
        assert (await http.get(f"{bff.public}/livez")).status_code == 200

        for _, writer in crowd:
            writer.close()
        await until(lambda: _open_files(bff.process.pid) < few)
        async with client() as another:
            assert (await another.get(f"{bff.public}/livez")).status_code == 200


async def test_two_workers_share_the_ports_and_end_together(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings | {"server": {"workers": 2}}, tmp_path) as bff:
        workers = [pid for pid in _children(bff.process.pid) if "spawn_main" in _command(pid)]
        assert len(workers) == 2
        for _ in range(10):
            async with client() as http:
                answer = await http.get(f"{bff.public}/api/dashboard/data", headers=SESSION)
                assert answer.status_code == 200
                assert (await http.get(f"{bff.ops}/readyz")).status_code == 200
        started = time.monotonic()
        bff.process.terminate()
        await bff.ended()

        assert time.monotonic() - started < 10
        assert not [pid for pid in workers if _is_running(pid)]


async def test_each_request_is_one_line_of_json(settings: Settings, platform: Platform, tmp_path: Path) -> None:
    await platform.upstreams["metrics"].misbehave(Faults(status=500))
    async with serving(settings, tmp_path) as bff, client() as http:
        for path, headers in (
            ("/api/dashboard/cost", SESSION | {"X-Request-ID": "req-1"}),
            ("/api/dashboard/cost", SESSION),
            ("/api/dashboard/cost", {}),
            ("/nothing", {}),
            ("/api/admin/summary", {"Cookie": f"agentbot-session={ADMIN.session_token}"}),
        ):
            await http.get(bff.public + path, headers=headers)
        bff.process.terminate()
        await bff.ended()
        lines = [line for line in bff.logs if line["event"] == "request"]

    assert [(line["operation"], line["status"], line.get("cache")) for line in lines] == [
        ("dashboard.cost", 200, "miss"),
        ("dashboard.cost", 200, "hit"),
        ("dashboard.cost", 401, None),
        (None, 404, None),
        ("admin.summary", 200, "miss"),
    ]
    assert {line["method"] for line in lines} == {"GET"}
    assert all(line["ms"] >= 0 and line["request_id"] and line["level"] == "info" for line in lines)
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["request_id"] == "req-1"
    assert lines[0]["degraded"] == lines[1]["degraded"] == "metrics;reason=status"
    assert "degraded" not in lines[4]
    assert lines[0]["user"] == lines[1]["user"] != lines[4]["user"]
    assert ADA.id not in str(lines)


async def _figures(bff: Serving, http: httpx.AsyncClient) -> list[str]:
    return (await http.get(f"{bff.ops}/metrics")).text.splitlines()


async def _send(bff: Serving, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request on a connection of its own; return the connection."""
    address = urlsplit(bff.public)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bff\r\nCookie: {SESSION['Cookie']}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def _status(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    """Return the first line of the answer, which must be whole."""
    reader, writer = connection
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    await reader.readexactly(int(lines[b"content-length"]))
    writer.close()
    return head.partition(b"\r\n")[0]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")

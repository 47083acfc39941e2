"""The two ways a case is run: in this process, and against a ``bff serve`` on real sockets and PostgreSQL."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import URL, Table, delete, insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from bff.app import Gateway
from bff.configuration import validate
from tests.contract.case import Case
from tests.contract.store import rows_of
from tests.contract.upstream import KEY, SHARED_TOKEN, name_of, names_of, on_sockets, router_of
from tests.stores import Row, empty_store
from upstreams.user_store import tables

NEXTAUTH_SECRET = "a-secret-of-the-contract-tests"
HOST = "bff.example.com"
READY_WITHIN = 20.0

Ask = Callable[[httpx.Request], Awaitable[httpx.Response]]
Running = tuple[Ask, dict[str, str]]


@asynccontextmanager
async def in_process(case: Case, now: datetime, folder: Path) -> AsyncIterator[Running]:
    """Run the gateway's ASGI application on a SQLite file, its upstreams behind a router."""
    urls = {name: f"http://{name}" for name in names_of(case.upstreams)}
    words = _words(urls)
    store = f"sqlite:///{folder / 'store.db'}"
    if case.store != "down":  # then nothing is there, not even a file
        async with empty_store(store) as database:
            for table, rows in rows_of(case.store, now, words):
                await database.add(table, *rows)
    router = router_of(case.upstreams)
    settings = validate(_settings(case.upstreams, urls, store))
    gateway = Gateway(settings, transport=httpx.MockTransport(router.async_handler))
    try:
        yield httpx.ASGITransport(gateway.public).handle_async_request, words
    finally:
        await gateway.close()


@asynccontextmanager
async def on_the_wire(
    case: Case, now: datetime, folder: Path, postgres: "PostgresStore", launcher: "Launcher"
) -> AsyncIterator[Running]:
    """Run ``bff serve`` on PostgreSQL, its upstreams on sockets."""
    async with on_sockets(case.upstreams) as urls:
        words = _words(urls)
        if case.store != "down":
            await postgres.fill(rows_of(case.store, now, words))
        store = postgres.url if case.store != "down" else "postgresql://postgres@127.0.0.1:1/postgres"
        with launcher.serve(_settings(case.upstreams, urls, store), folder) as (url, errors):
            yield Wire(url).ask, words
        assert '"unexpected"' not in errors.read_text(encoding="utf-8")


def _words(urls: Mapping[str, str]) -> dict[str, str]:
    return {f"<{name} url>": url for name, url in urls.items()}


def _settings(state: Mapping[str, Any], urls: Mapping[str, str], store: str) -> dict[str, Any]:
    configured = {name: url for name, url in urls.items() if state.get(name) != "not configured"}
    return {
        "server": {"port": 0},
        "ops": {"port": 0},
        "auth": {
            "admin_emails": [" Admin@Example.com", "second@example.com"],
            "nextauth_secret": NEXTAUTH_SECRET,
            "allowed_origins": ["https://app.example.com"],
        },
        "monitored_services": [
            {"name": service, "url": f"{urls[name_of(service)]}/health"} for service in state.get("services", {})
        ],
        "upstreams": {
            "user_store": {"url": store},
            "gateway": {"url": configured.get("gateway"), "token": SHARED_TOKEN},
            "metrics": {"url": configured.get("metrics"), "api_key": KEY},
        },
    }


class PostgresStore:
    """A database of the cases' own: its tables are made once and emptied for each case."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server).set(drivername="postgresql+asyncpg")
        self._address = self._server.set(database="contract")
        self._is_made = False

    @property
    def url(self) -> str:
        return self._address.set(drivername="postgresql").render_as_string(hide_password=False)

    async def fill(self, filling: list[tuple[Table, list[Row]]]) -> None:
        """Hold these rows and no others."""
        if not self._is_made:
            await self._make()
        async with _connected(self._address) as connection:
            for table in reversed(tables.metadata.sorted_tables):
                await connection.execute(delete(table))
            for table, rows in filling:
                await connection.execute(insert(table), rows)

    async def _make(self) -> None:
        async with _connected(self._server, isolation_level="AUTOCOMMIT") as connection:
            await connection.execute(text("CREATE DATABASE contract"))
        async with _connected(self._address) as connection:
            await connection.run_sync(tables.metadata.create_all)
        self._is_made = True


@asynccontextmanager
async def _connected(url: URL, **options: Any) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url, poolclass=NullPool, **options)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()


class Launcher:
    """Starts ``bff serve`` in forks of one process that has imported it, which is ten times as quick.

    The children run the command itself; what they print comes by files.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    @contextmanager
    def open(cls) -> Iterator["Launcher"]:
        command = [sys.executable, "-m", "tests.contract.launch"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    @contextmanager
    def serve(self, settings: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the public URL, and the file that the errors are in."""
        config, output, errors = (folder / name for name in ("config.yaml", "output", "errors"))
        config.write_text(json.dumps(settings), encoding="utf-8")
        pid = self._fork([str(config), str(output), str(errors)])
        try:
            yield self._url(output, errors), errors
        finally:
            os.kill(pid, signal.SIGKILL)

    def _fork(self, files: list[str]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(files) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def _url(self, output: Path, errors: Path) -> str:
        give_up = time.monotonic() + READY_WITHIN
        while not (output.exists() and (line := output.read_text(encoding="utf-8")).endswith("\n")):
            assert time.monotonic() < give_up, errors.read_text(encoding="utf-8")
            time.sleep(0.002)
        return line.split()[3]


class Wire:
    """A client that sends what it is told, byte for byte."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)

    async def ask(self, request: httpx.Request) -> httpx.Response:
        reader, writer = await asyncio.open_connection(*self._address, limit=1 << 20)
        try:
            lines = [b"%b: %b\r\n" % header for header in request.headers.raw]
            start = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
            writer.write(start + b"".join(lines) + b"Connection: close\r\n\r\n" + request.content)
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        first, *fields = head.split(b"\r\n")
        pairs = [line.split(b": ", 1) for line in fields]
        headers = [(name, value) for name, value in pairs if name not in {b"date", b"connection", b"Connection"}]
        return httpx.Response(int(first.split()[1]), headers=headers, content=body)

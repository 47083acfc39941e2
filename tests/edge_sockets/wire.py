"""The server's protocol on a port, and a client that writes exactly what it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from bff.app import Gateway
from bff.configuration import validate
from bff.edge.connections import Connections
from bff.edge.protocol import BoundedProtocol, Served
from bff.edge.short_way import Request
from bff.metrics import Metrics

WITHIN = 8.0
SERVER_LINE = (b"server-line", b"of every response")


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self, *, bodiless: bool = False) -> Response:
        async with asyncio.timeout(WITHIN):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *fields = head.decode().rstrip("\r\n").split("\r\n")
            pairs = [line.split(": ", 1) for line in fields]
            headers: dict[str, str] = dict(pairs)
            assert len(headers) == len(pairs), f"a header twice: {fields}"
            status = int(first.split()[1])
            length = 0 if bodiless or status == 304 else int(headers["content-length"])
            return Response(status, headers, await self._reader.readexactly(length))

    async def ask(self, data: bytes) -> Response:
        self.write(data)
        return await self.read(bodiless=data.startswith(b"HEAD"))

    async def rest(self) -> bytes:
        """Return what comes until the server closes."""
        async with asyncio.timeout(WITHIN):
            with suppress(ConnectionResetError):
                return await self._reader.read()
            return b""

    def abort(self) -> None:
        self._writer.transport.abort()


class Front:
    """An application behind the protocol; ``usual`` counts the requests it was called for."""

    def __init__(self, app: Any, limit: int, seconds: Mapping[str, float]) -> None:
        self._app = app
        self.usual = 0
        self.metrics = Metrics()
        self.admitted = Connections(limit, self.metrics, **seconds)
        self.state = ServerState()
        self.state.default_headers = [SERVER_LINE]
        self._server: asyncio.Server | None = None
        self._wires: list[Wire] = []
        self.at_once = getattr(app, "at_once", lambda _: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.usual += 1
        await self._app(scope, receive, send)

    async def open(self) -> None:
        config = uvicorn.Config(
            Served(self, self.admitted, self._ask_at_once),
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        config.load()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: BoundedProtocol(config, self.state, {}), "127.0.0.1", 0
        )

    def _ask_at_once(self, request: Request) -> bytes | None:
        response: bytes | None = self.at_once(request)
        return response

    async def connect(self) -> Wire:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        self._wires.append(Wire(*await asyncio.open_connection("127.0.0.1", port)))
        return self._wires[-1]

    @property
    def connections(self) -> list[BoundedProtocol]:
        return list(cast("set[BoundedProtocol]", self.state.connections))

    def is_free_of(self, connection: BoundedProtocol) -> bool:
        """Return whether nothing waits for a connection any more."""
        admitted = self.admitted
        return not len(admitted) and not any(
            connection in waiting for waiting in (admitted.idle, admitted.heads, admitted.writes)
        )

    def dropped(self, reason: str) -> float:
        """Return how many connections have been ended early for this reason."""
        return self.metrics.dropped_connections.labels(reason)._value.get()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for wire in self._wires:
            wire.abort()
        await until(lambda: not self.state.connections and not self.state.tasks)


class OpenFront(Protocol):
    async def __call__(self, **settings: Mapping[str, Any]) -> Front: ...


@asynccontextmanager
async def open_front(base: Mapping[str, Any]) -> AsyncIterator[OpenFront]:
    async with AsyncExitStack() as stack:

        async def open_(**settings: Mapping[str, Any]) -> Front:
            both = {name: {**base.get(name, {}), **more} for name, more in settings.items()}
            gateway = Gateway(validate({**base, **both}))
            stack.push_async_callback(gateway.close)
            return await stack.enter_async_context(serving(gateway.public))

        yield open_


@asynccontextmanager
async def serving(app: Any, *, limit: int = 1000, **seconds: float) -> AsyncIterator[Front]:
    """Serve ``app`` to at most ``limit`` connections, which have so many ``seconds``, by name, for each thing."""
    front = Front(app, limit, seconds)
    await front.open()
    try:
        yield front
    finally:
        await front.close()


async def until(holds: Any) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)


def get(path: str, token: str | None = None, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """Return a request by the owner of the session ``token``, with more header lines."""
    cookie = [] if token is None else [f"Cookie: agentbot-session={token}"]
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: bff", *cookie, *lines, "", ""]).encode("latin-1")


def post(path: str, token: str | None, body: bytes, *lines: str, method: str = "POST") -> bytes:
    """Return a request with ``body``, else as ``get`` does."""
    return get(path, token, f"Content-Length: {len(body)}", *lines, method=method) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)

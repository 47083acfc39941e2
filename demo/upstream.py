"""A pretend upstream on a port of its own: routes, fault switches, and a port that can be closed."""

import asyncio
import socket
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, cast

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from demo import faults
from demo.asgi import Answer, json_answer, plain_status, whole_body

SWITCH = "/__faults"


class Listener:
    """Uvicorn's HTTP protocol on one port, without the server around it.

    A server installs signal handlers and stays open until it ends; an upstream that refuses connections
    closes its port and opens the same one again.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._state = ServerState()
        self._connections = cast("set[HttpToolsProtocol]", self._state.connections)
        self._config = Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def open(self) -> None:
        """Accept connections; at first on the port asked for or, when that is taken, on a free one."""
        if self._socket is None:
            self._socket = _bound_if_possible(self.host, self.port)
            self.port = self._socket.getsockname()[1]
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._protocol, sock=self._socket, backlog=2048)

    def _protocol(self) -> asyncio.Protocol:
        return HttpToolsProtocol(self._config, self._state, {})

    async def refuse(self, asker: tuple[str, int] | None) -> None:
        """Refuse connections and end those that are open, but keep the port for :meth:`open`.

        The connection from ``asker`` ends when its request is answered.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket = _bound(self.host, self.port)
            await self._end_connections(asker)

    async def close(self) -> None:
        """Give up the port; what is still being answered is cut off."""
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        await self._end_connections(None)

    async def _end_connections(self, asker: tuple[str, int] | None) -> None:
        for connection in list(self._connections):
            if connection.client == asker:
                connection.shutdown()
            else:
                connection.transport.abort()
        if ending := self._state.tasks - {asyncio.current_task()}:
            await asyncio.wait(ending, timeout=0.5)

    def transport(self, client: tuple[str, int]) -> asyncio.Transport:
        """Return the transport of the connection from ``client``."""
        # Looked up only for faults, so that the requests without one pay nothing for them.
        return next(connection.transport for connection in self._connections if connection.client == client)


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _bound_if_possible(host: str, port: int) -> socket.socket:
    try:
        return _bound(host, port)
    except OSError:
        return _bound(host, 0)


class Upstream:
    """One upstream: an answer for each path, another for all the rest, and the faults it is told to have."""

    def __init__(self, name: str, routes: dict[str, ASGIApp], otherwise: ASGIApp, *, host: str, port: int) -> None:
        self.name = name
        self.faults: faults.Faults | None = None
        self._routes = routes | {SWITCH: self.switch}
        self._otherwise = otherwise
        self._listener = Listener(self, host, port)
        self._expiry: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return self._listener.url

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope["path"]
        app = self._routes.get(path, self._otherwise)
        if self.faults is None or path == SWITCH:
            return app(scope, receive, send)
        transport = self._listener.transport(scope["client"])
        return faults.inject(self.faults, faults.Exchange(app, scope, receive, send, transport))

    async def open(self) -> None:
        await self._listener.open()

    async def close(self) -> None:
        self._keep_for(None)
        await self._listener.close()

    async def misbehave(self, wanted: faults.Faults | None, asker: tuple[str, int] | None = None) -> None:
        """Have these faults and no others from now on; None: none at all.

        When they refuse connections, that of ``asker`` is answered before it ends.
        """
        self.faults = wanted
        self._keep_for(None if wanted is None else wanted.seconds)
        if wanted is not None and wanted.refuse:
            await self._listener.refuse(asker)
        else:
            await self._listener.open()

    def _keep_for(self, seconds: float | None) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None if seconds is None else asyncio.create_task(self._expire(seconds))

    async def _expire(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._expiry = None
        await self.misbehave(None)

    async def switch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show (GET), set (POST) or clear (DELETE) the faults; they are in force when the answer arrives."""
        answer: Answer | None = None
        match scope["method"]:
            case "GET":
                pass
            case "DELETE":
                await self.misbehave(None)
            case "POST":
                answer = await self._set(await whole_body(receive), scope["client"])
            case _:
                answer = plain_status(HTTPStatus.METHOD_NOT_ALLOWED)
        answer = answer or json_answer({"upstream": self.name, "faults": faults.describe(self.faults)})
        await answer(scope, receive, send)

    async def _set(self, body: bytes, asker: tuple[str, int]) -> Answer | None:
        try:
            wanted = faults.parse(body)
        except msgspec.DecodeError as error:
            return faults.refusal(error)
        await self.misbehave(wanted, asker)
        return None

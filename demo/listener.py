"""A port that can be closed and opened again, with uvicorn's HTTP protocol on it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import cast

from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class Listener:
    """Uvicorn's HTTP protocol on one port, without the server around it.

    A server installs signal handlers and stays open until it ends; an upstream that refuses connections
    closes its port and opens the same one again.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], host: str, port: int) -> None:
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

    def transport(self, client: tuple[str, int]) -> asyncio.Transport | None:
        """Return the transport of the connection from ``client``, None when it has ended."""
        # Looked up only for faults, so that the requests without one pay nothing for them.
        return next((one.transport for one in self._connections if one.client == client), None)


def _bound(host: str, port: int) -> socket.socket:
    # Named, for only then does asyncio have small answers not wait for the client to acknowledge earlier ones.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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

"""The open connections: which are idle, and which of them to use next."""

import asyncio
from typing import Final

from upstreams._http.connection import Connection
from upstreams._http.request import Origin

MAX_IDLE_PER_ORIGIN: Final = 64
MAX_IDLE: Final = 512
_SWEEP_SECONDS: Final = 2.0


class Pool:
    """All open connections. Idle ones are used newest first, so that the others get to expire."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # oldest first
        self._by_origin: dict[Origin, dict[Connection, None]] = {}  # oldest first, no empty ones
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, origin: Origin) -> Connection | None:
        """Return an idle connection to ``origin`` for one exchange. Raises RuntimeError once closed."""
        if self._closed:
            raise RuntimeError("the transport is closed")
        while (idle := self._by_origin.get(origin)) is not None:
            connection = next(reversed(idle))
            self._forget(connection)
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def add(self, connection: Connection) -> None:
        """Take charge of a new connection that is about to be used."""
        if self._closed:
            connection.close()
        elif not connection.closed.done():
            self._open.add(connection)

    def idle(self, connection: Connection) -> None:
        siblings = self._by_origin.setdefault(connection.origin, {})
        siblings[connection] = None
        self._idle[connection] = None
        if len(siblings) > MAX_IDLE_PER_ORIGIN:
            self._evict(next(iter(siblings)))
        elif len(self._idle) > MAX_IDLE:
            self._evict(next(iter(self._idle)))
        if self._sweeper is None:
            self._sweeper = connection.closed.get_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._forget(connection)

    async def aclose(self) -> None:
        """Close every connection and wait until they are gone."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self._open):
            connection.close()
        if self._open:
            await asyncio.wait([connection.closed for connection in self._open])

    def _forget(self, connection: Connection) -> None:
        del self._idle[connection]
        siblings = self._by_origin[connection.origin]
        del siblings[connection]
        if not siblings:
            del self._by_origin[connection.origin]

    def _evict(self, connection: Connection) -> None:
        self._forget(connection)
        connection.close()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [idle for idle in self._idle if idle.expires <= now]:
            self._evict(connection)
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep) if self._idle else None

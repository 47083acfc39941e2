"""Connections to wherever Redis is at the moment, none of which tries anything twice."""

import random
import ssl
from itertools import cycle
from typing import Any, Final

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from bff.redis.addresses import Address, Where

# What redis-py raises when Redis is gone, late or makes no sense; its ResponseError, an error reply, is one too.
# A RuntimeError is uvloop's word for a connection that has just been closed.
FAILURES: Final = (RedisError, OSError, RuntimeError)

_CONNECT_SECONDS: Final = 0.5


class Dialer:
    """Raises ValueError when the address's certificates cannot be read."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._tls = address.tls_context()
        self._nodes = cycle(random.sample(address.nodes, len(address.nodes)))

    async def where(self) -> Where:
        """Return where the server or the current master is, or of a cluster another node each time.

        Raises one of ``FAILURES``.
        """
        if self.address.kind == "sentinel":
            return await self._master()
        return next(self._nodes)

    async def _master(self) -> Where:
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.service)
        own = {"username": None, "password": self.address.sentinel_password, "db": 0}
        for sentinel in self.address.nodes:
            try:
                reply = await self.ask(sentinel, *question, **own)
            except FAILURES:
                continue
            if reply is not None:
                host, port = reply
                return host.decode(), int(port)
        raise Lost("no sentinel tells where the master is")

    async def ask(self, where: Where, *words: str, **options: Any) -> Any:
        """Return the reply to a command, on a connection of its own. Raises one of ``FAILURES``."""
        connection = self.connection(where, _CONNECT_SECONDS, **options)
        try:
            await connection.send_command(*words)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)

    def connection(self, where: Where, seconds: float, **options: Any) -> Connection:
        """Return a connection that opens when it is used, and may take so many seconds for a reply."""
        usual: dict[str, Any] = {
            "host": where[0],
            "port": where[1],
            "db": self.address.database,
            "username": self.address.user,
            "password": self.address.password,
            "socket_timeout": seconds,
            "socket_connect_timeout": _CONNECT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # no HELLO to wait for
            "driver_info": None,  # nor CLIENT SETINFO
        }
        if self._tls is None:
            return Connection(**(usual | options))
        return _TLSConnection(self._tls, **(usual | options))


class _TLSConnection(SSLConnection):
    """One whose certificates have been read: redis-py reads them again for every connection."""

    def __init__(self, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls

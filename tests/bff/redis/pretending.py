"""What answers at Redis's port and is no Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pretender:
    """Says ``ping`` to PING, ``auth`` to AUTH, and ``said`` to whatever else it is asked."""

    def __init__(self, said: bytes = b"+OK\r\n", *, auth: bytes = b"+OK\r\n", ping: bytes = b"+PONG\r\n") -> None:
        self.said = said
        self.auth = auth
        self.ping = ping
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Pretender"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://:s3cr3t@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        while asked := await reader.read(65536):
            writer.write(self._reply(asked))

    def _reply(self, asked: bytes) -> bytes:
        if b"AUTH" in asked:
            return self.auth
        return self.ping if b"PING" in asked else self.said

"""A client that says what became of each request: an answer, a cut connection, or nothing in time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MAX_HEAD_BYTES: Final = 256 * 1024
_MORE: Final = 0.05  # seconds between two sips of a client that is in no hurry


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; the names of its headers in lower case."""

    status: int
    headers: Mapping[str, str]
    head: bytes
    body: bytes


class Cut(Exception):
    """The connection ended before the answer did; ``sent``: after the whole request had been written."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Silent(Exception):
    """No whole answer came in time."""


class Connection:
    """One connection, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect to a port of 127.0.0.1. Raises OSError."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=_MAX_HEAD_BYTES))

    @property
    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def ask(self, *pieces: bytes, within: float, pause: float = 0.0) -> Answer:
        """Send the request, ``pause`` seconds between its pieces; return the answer. Raises Cut and Silent."""
        sent = False
        try:
            async with asyncio.timeout(within):
                for number, piece in enumerate(pieces, 1):
                    self._writer.write(piece)
                    await self._writer.drain()
                    sent = number == len(pieces)
                    if pause:
                        await asyncio.sleep(pause)
                return await self._answer(in_sips=pause > 0)
        except TimeoutError as error:
            self.abort()
            raise Silent(f"no answer within {within:g} s") from error
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            self.abort()
            raise Cut(type(error).__name__, sent=sent) from error

    async def send(self, request: bytes) -> None:
        """Send without waiting for an answer. Raises OSError."""
        self._writer.write(request)
        await self._writer.drain()

    async def _answer(self, *, in_sips: bool) -> Answer:
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        status = int(first.split(" ", 2)[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if in_sips:
            await asyncio.sleep(_MORE)
        if status == 304:
            return Answer(status, headers, head, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, head, await self._chunks())
        length = int(headers.get("content-length", "0"))
        body = await self._sips(length) if in_sips else await self._reader.readexactly(length)
        if headers.get("connection", "").lower() == "close":
            self.abort()
        return Answer(status, headers, head, body)

    async def _sips(self, length: int) -> bytes:
        half = length // 2
        body = await self._reader.readexactly(half)
        await asyncio.sleep(_MORE)
        return body + await self._reader.readexactly(length - half)

    async def _chunks(self) -> bytes:
        pieces = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            pieces.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def arrived(self, at_most: int) -> bytes:
        """Return what has come without an answer being waited for: the end of the connection is nothing."""
        try:
            return await self._reader.read(at_most)
        except OSError:
            return b""

    def abort(self) -> None:
        self._writer.transport.abort()

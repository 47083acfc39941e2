"""Clients that ask steadily, what became of each of their requests, and a balancer before several servers."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.e2e.process import WITHIN
from tests.faults.rig import until

PAUSE = 0.01
HEALTH_EVERY = 0.1


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def is_the_last(self) -> bool:
        return "\r\nconnection: close\r\n" in self.head


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def request(path: str, token: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request by the owner of the session ``token``, with more header lines."""
    lengths = [f"Content-Length: {len(body)}"] if body else []
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: bff",
        f"Cookie: agentbot-session={token}",
        *lengths,
        *lines,
        "",
        "",
    ]
    return "\r\n".join(head).encode() + body


async def read(reader: asyncio.StreamReader) -> Answer:
    """Return the next answer, which must be whole."""
    async with asyncio.timeout(WITHIN):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"\r\ncontent-length: (\d+)\r\n", head)
        assert length is not None, head
        return Answer(int(head.split()[1]), head, await reader.readexactly(int(length[1])))


@dataclass
class Load:
    """``clients`` that keep their connections, and as many that open one for each request.

    Whoever is refused a connection has asked nothing and leaves.
    """

    url: str
    asked: bytes
    clients: int = 4
    answered: int = 0
    last_ones: int = 0
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask from when every client has been answered until the end."""
        asking = [asyncio.create_task(self._ask_on(keep)) for keep in (True, False) for _ in range(self.clients)]
        await self.more(10 * len(asking))
        yield
        for each in asking:
            each.cancel()
        await asyncio.wait(asking)

    async def more(self, answers: int) -> None:
        """Return when so many more have been answered."""
        enough = self.answered + answers
        await until(lambda: self.answered >= enough, WITHIN)

    async def _ask_on(self, keep: bool) -> None:
        while True:
            try:
                async with connected(self.url) as (reader, writer):
                    while not await self._is_last(reader, writer) and keep:
                        pass
            except ConnectionRefusedError:
                return
            except (OSError, EOFError, TimeoutError) as error:
                self.failures.append(f"{'kept' if keep else 'new'}: {error!r}")

    async def _is_last(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask, after a pause; return whether the answer was the last on its connection."""
        await asyncio.sleep(PAUSE)
        writer.write(self.asked)
        answer = await read(reader)
        self.answered += 1
        self.last_ones += answer.is_the_last
        if answer.status != 200:
            self.failures.append(answer.head)
        return answer.is_the_last


class Balancer:
    """Gives each connection to the next server that was ready when it was last asked.

    ``servers`` may change; ``ready`` are those that were.
    """

    def __init__(self, *servers: str) -> None:
        self.servers = list(servers)
        self.ready: list[str] = []
        self._turn = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Yield the URL; every server has been asked whether it is ready."""
        await self._look()
        looking = asyncio.create_task(self._look_on())
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as listening:
            yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        looking.cancel()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_EVERY)
            await self._look()

    async def _look(self) -> None:
        servers = list(self.servers)
        ready = await asyncio.gather(*(self._is_ready(server) for server in servers))
        self.ready = [server for server, is_ready in zip(servers, ready, strict=True) if is_ready]

    async def _is_ready(self, server: str) -> bool:
        try:
            async with connected(server) as (reader, writer):
                writer.write(request("/readyz", "none"))
                return (await read(reader)).status == 200
        except (OSError, EOFError):
            return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for server in self._in_turn(self.ready):
            with suppress(ConnectionRefusedError):
                async with connected(server) as (answers, asks):
                    await asyncio.gather(_pump(reader, asks), _pump(answers, writer))
                    break
        writer.close()

    def _in_turn(self, servers: Sequence[str]) -> list[str]:
        self._turn += 1
        first = self._turn % max(len(servers), 1)
        return [*servers[first:], *servers[:first]]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes; whoever ends, ends both."""
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()

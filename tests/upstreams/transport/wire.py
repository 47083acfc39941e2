"""A server that says what a test tells it to, byte for byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from upstreams.transport import LeanTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """The server's side of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.closed = asyncio.Event()
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Return the head of the next request; raise IncompleteReadError when the client has gone."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            if self.writer.is_closing():
                raise ConnectionResetError  # uvloop would raise RuntimeError
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self, *parts: bytes) -> None:
        await self.request()
        await self.send(*parts)


Script = Callable[[Peer], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.url = ""

    def get(self, path: str = "/", **kwargs) -> httpx.Request:
        return httpx.Request("GET", self.url + path, **kwargs)


@asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run ``script`` for each connection; close it when the script ends, as the client may at any time."""
    served = Server()
    tasks: list[asyncio.Task[None]] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.peers.append(Peer(len(served.peers), reader, writer))
        tasks.append(asyncio.create_task(serve(served.peers[-1])))

    async def serve(peer: Peer) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await script(peer)
        peer.writer.close()
        with suppress(ConnectionError):
            await peer.writer.wait_closed()
        peer.closed.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    scheme = "http" if context is None else "https"
    served.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task, peer in zip(tasks, served.peers, strict=True):
            peer.writer.transport.abort()
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert end is None or isinstance(end, asyncio.CancelledError), repr(end)
        await server.wait_closed()


async def body_of(response: httpx.Response) -> bytes:
    return b"".join([chunk async for chunk in response.stream])


async def fetch(transport: LeanTransport, request: httpx.Request) -> tuple[int, bytes]:
    async with asyncio.timeout(5):
        response = await transport.handle_async_request(request)
        return response.status_code, await body_of(response)


def always(*parts: bytes) -> Script:
    async def script(peer: Peer) -> None:
        while True:
            await peer.answer(*parts)

    return script


def once(*parts: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.answer(*parts)

    return script


async def echo(peer: Peer) -> None:
    """Answer each request with its own target, so that a mixed-up answer shows."""
    while True:
        target = (await peer.request()).split(b" ")[1]
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.001)


def one_by_one(message: bytes) -> list[bytes]:
    return [message[i : i + 1] for i in range(len(message))]

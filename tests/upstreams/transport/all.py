"""What the transport makes of what a server sends, byte for byte, on both event loops."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import uvloop

from upstreams._http import pool
from upstreams.transport import LeanTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1024 * 1024


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


@pytest.fixture
async def transport():
    async with LeanTransport() as transport:
        yield transport


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
async def serving(script: Script) -> AsyncIterator[Server]:
    """Run ``script`` for each connection; close it when the script ends, as the client may at any time."""
    served = Server()
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer = Peer(len(served.peers), reader, writer)
        served.peers.append(peer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await script(peer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        peer.closed.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
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


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nTrailer: x\r\n\r\n"
)


@pytest.mark.parametrize(
    ("parts", "status", "body"),
    [
        pytest.param([OK], 200, b"ok", id="content-length"),
        pytest.param([OK[:-1], OK[-1:]], 200, b"ok", id="two segments"),
        pytest.param(one_by_one(OK), 200, b"ok", id="byte by byte"),
        pytest.param([CHUNKED], 200, b"abcde", id="chunked"),
        pytest.param(one_by_one(CHUNKED), 200, b"abcde", id="chunked, byte by byte"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n" + OK], 200, b"ok", id="100"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK], 200, b"ok", id="103"),
        pytest.param([b"HTTP/1.1 199 Odd\r\n\r\n", OK], 200, b"ok", id="unknown 1xx"),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b"", id="204"),
        pytest.param([b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"], 304, b"", id="304"),
        pytest.param([b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"], 302, b"", id="302"),
        pytest.param(
            [b"HTTP/1.0 500 X\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"], 500, b"", id="1.0"
        ),
    ],
)
async def test_answer_that_leaves_the_connection_usable(transport, parts, status, body):
    async with serving(always(*parts)) as server:
        assert await fetch(transport, server.get()) == (status, body)
        assert await fetch(transport, server.get()) == (status, body)
        assert len(server.peers) == 1


@pytest.mark.parametrize(
    ("method", "parts", "body"),
    [
        pytest.param("GET", [b"HTTP/1.1 200 OK\r\n\r\nto ", b"the end"], b"to the end", id="until the end"),
        pytest.param("GET", [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok", id="HTTP/1.0"),
        pytest.param("GET", [OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)], b"ok", id="close"),
        pytest.param("GET", [OK.replace(b"\r\n", b"\r\nKeep-Alive: timeout=0\r\n", 1)], b"ok", id="timeout=0"),
        pytest.param("GET", [OK + OK], b"ok", id="a second answer"),
        pytest.param("GET", [OK + b"garbage"], b"ok", id="garbage behind it"),
        pytest.param("GET", [b"HTTP/1.1 204 No Content\r\n\r\nbody"], b"", id="204 with a body"),
        pytest.param("HEAD", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"], b"", id="HEAD"),
        pytest.param("HEAD", [OK], b"", id="HEAD with a body"),
    ],
)
async def test_answer_after_which_the_connection_is_not_used_again(transport, method, parts, body):
    async with serving(once(*parts)) as server:
        request = httpx.Request(method, server.url)
        assert (await fetch(transport, request))[1] == body
        assert (await fetch(transport, request))[1] == body
        assert len(server.peers) == 2


async def test_status_and_headers_as_sent(transport):
    async with serving(always(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-A: 1\r\nx-a: 2\r\n\r\n")) as server:
        response = await transport.handle_async_request(server.get())
        await response.aclose()
    assert response.status_code == 429
    assert response.headers.raw == [(b"Retry-After", b"7"), (b"X-A", b"1"), (b"x-a", b"2")]


BIG = b"x" * (70 * 1024)


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        pytest.param([], httpx.ReadError, id="closed before the answer"),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-"], httpx.ReadError, id="closed within the head"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n"], httpx.ReadError, id="closed after a 100"),
        pytest.param([OK[:-1]], httpx.ReadError, id="closed within the body"),
        pytest.param([CHUNKED[:-4]], httpx.ReadError, id="closed within the trailer"),
        pytest.param([b"SSH-2.0-OpenSSH_9\r\n"], httpx.RemoteProtocolError, id="not HTTP"),
        pytest.param([b"<html>no</html>"], httpx.RemoteProtocolError, id="HTML alone"),
        pytest.param([b"HTTP/1.1 099 X\r\n\r\n"], httpx.RemoteProtocolError, id="status 099"),
        pytest.param(
            [b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
            httpx.RemoteProtocolError,
            id="upgrade",
        ),
        pytest.param(
            [b"HTTP/1.1 150 X\r\nContent-Length: 1\r\n\r\nx" + OK], httpx.RemoteProtocolError, id="1xx with a body"
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"],
            httpx.RemoteProtocolError,
            id="two lengths",
        ),
        pytest.param([CHUNKED.replace(b"3;x=y", b"zz")], httpx.RemoteProtocolError, id="no chunk size"),
        pytest.param([b"HTTP/1.1 200 OK\r\nX: " + BIG], httpx.RemoteProtocolError, id="endless header"),
        pytest.param([b"HTTP/1.1 200 " + BIG], httpx.RemoteProtocolError, id="endless reason"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nX: " + BIG + b"\r\nContent-Length: 0\r\n\r\n"],
            httpx.RemoteProtocolError,
            id="head of 70 KiB",
        ),
        pytest.param([CHUNKED[:-4], *[b"x" * 1024] * 200], httpx.RemoteProtocolError, id="endless trailer"),
    ],
)
async def test_answer_that_is_none(transport, parts, error):
    async with serving(once(*parts)) as server:
        with pytest.raises(error):
            await fetch(transport, server.get())
        await server.peers[0].closed.wait()


async def test_reset_instead_of_an_answer(transport):
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.writer.transport.abort()

    async with serving(script) as server:
        with pytest.raises(httpx.ReadError):
            await fetch(transport, server.get())


async def test_what_came_before_the_break_is_delivered_first(transport):
    async with serving(once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")) as server:
        response = await transport.handle_async_request(server.get())
        await server.peers[0].closed.wait()
        assert await anext(response.stream) == b"half"
        with pytest.raises(httpx.ReadError):
            await anext(response.stream)


async def test_concurrent_requests_have_their_own_connections_and_answers(transport):
    async with serving(echo) as server:
        for _ in range(3):
            answers = await asyncio.gather(*(fetch(transport, server.get(f"/{i}")) for i in range(20)))
            assert answers == [(200, b"/%d" % i) for i in range(20)]
        assert len(server.peers) == 20


async def test_idle_connection_closed_by_the_server_is_replaced(transport):
    async with serving(once(OK)) as server:
        assert await fetch(transport, server.get()) == (200, b"ok")
        await server.peers[0].closed.wait()
        await until(lambda: not transport._pool._open)
        assert await fetch(transport, server.get()) == (200, b"ok")


async def test_idle_connection_that_speaks_unasked_is_closed(transport):
    async def script(peer: Peer) -> None:
        await peer.answer(OK)
        if peer.number == 0:
            await speak.wait()
            await peer.send(OK.replace(b"ok", b"no"))
        await peer.answer(OK)

    speak = asyncio.Event()
    async with serving(script) as server:
        await fetch(transport, server.get())
        speak.set()
        await server.peers[0].closed.wait()
        assert await fetch(transport, server.get()) == (200, b"ok")
        assert len(server.peers) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"", 4.0),
        (b"Keep-Alive: timeout=5\r\n", 4.0),
        (b"Keep-Alive: max=9, timeout=2\r\n", 1.6),
        (b"keep-alive: timeout=60\r\n", 4.0),
        (b"Keep-Alive: timeout=soon\r\n", 4.0),
    ],
)
async def test_idle_connection_is_used_for_so_many_seconds(transport, header, seconds):
    async with serving(always(OK.replace(b"\r\n", b"\r\n" + header, 1))) as server:
        await fetch(transport, server.get())
        (connection,) = transport._pool._idle
        assert connection.expires - asyncio.get_running_loop().time() == pytest.approx(seconds, abs=0.5)
        connection.expires = 0.0
        await fetch(transport, server.get())
        assert len(server.peers) == 2


async def test_expired_connections_are_swept_away_and_their_origins_forgotten(transport, monkeypatch):
    monkeypatch.setattr(pool, "_SWEEP_SECONDS", 0.01)
    async with serving(always(OK)) as server, serving(always(OK)) as other:
        await fetch(transport, server.get())
        await fetch(transport, other.get())
        for connection in transport._pool._idle:
            connection.expires = 0.0
        await server.peers[0].closed.wait()
        await other.peers[0].closed.wait()
        await until(lambda: transport._pool._sweeper is None)
        assert not transport._pool._by_origin
        assert not transport._pool._open


async def test_no_more_than_the_limits_stay_idle(transport, monkeypatch):
    monkeypatch.setattr(pool, "MAX_IDLE_PER_ORIGIN", 3)
    monkeypatch.setattr(pool, "MAX_IDLE", 4)
    async with serving(echo) as server, serving(echo) as other:
        await asyncio.gather(*(fetch(transport, server.get()) for _ in range(6)))
        assert len(transport._pool._idle) == 3
        await asyncio.gather(*(fetch(transport, other.get()) for _ in range(3)))
        assert sorted(len(idle) for idle in transport._pool._by_origin.values()) == [1, 3]


async def test_cancelled_within_the_body_the_connection_is_gone(transport):
    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            await peer.request()
        await echo(peer)

    async with serving(script) as server:
        response = await transport.handle_async_request(server.get("/first"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await body_of(response)
        await server.peers[0].closed.wait()
        assert await fetch(transport, server.get("/second")) == (200, b"/second")
        with pytest.raises(httpx.StreamClosed):
            await body_of(response)


async def test_closed_late_the_next_exchange_is_not_disturbed(transport):
    async with serving(echo) as server:
        first = await transport.handle_async_request(server.get("/first"))
        second = await transport.handle_async_request(server.get("/second"))
        await first.aclose()
        assert await body_of(second) == b"/second"
        assert len(server.peers) == 1


async def test_caller_of_a_slow_server_gives_up_in_time(transport):
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in one_by_one(OK * 1000):
            await peer.send(byte)
            await asyncio.sleep(0.01)

    async with serving(script) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.handle_async_request(server.get())
        await server.peers[0].closed.wait()


async def test_big_body_is_held_back_until_it_is_read_and_dropped_when_closed(transport):
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (50 * MIB))
        for _ in range(50):
            await peer.send(bytes(MIB))
            sent += 1

    async with serving(script) as server:
        response = await transport.handle_async_request(server.get())
        size = 0
        async for chunk in response.stream:
            assert len(chunk) <= MIB
            size += len(chunk)
            assert response.stream._buffered <= MIB
            if size > 5 * MIB:
                break
        await response.aclose()
        await server.peers[0].closed.wait()
        assert sent < 30  # the rest never left the server: what it sent is in the sockets' buffers


async def test_big_body_read_slowly_is_complete(transport):
    async with serving(
        always(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (5 * MIB), bytes(5 * MIB))
    ) as server:
        for _ in range(2):
            response = await transport.handle_async_request(server.get())
            size = 0
            async for chunk in response.stream:
                size += len(chunk)
                await asyncio.sleep(0)
            assert size == 5 * MIB
        assert len(server.peers) == 1


async def test_big_request_body_arrives(transport):
    async def script(peer: Peer) -> None:
        await peer.request()
        body = await peer.reader.readexactly(8 * MIB)
        await peer.send(OK if body == content else b"HTTP/1.1 400 X\r\n\r\n")

    content = os.urandom(8 * MIB)
    async with serving(script) as server:
        assert await fetch(transport, httpx.Request("POST", server.url, content=content)) == (200, b"ok")


async def test_answer_before_the_request_was_taken_ends_the_connection(transport):
    async def script(peer: Peer) -> None:
        await peer.answer(OK.replace(b"200 OK", b"413 X"))
        await done.wait()

    done = asyncio.Event()
    async with serving(script) as server:
        request = httpx.Request("POST", server.url, content=bytes(20 * MIB))
        assert await fetch(transport, request) == (413, b"ok")
        assert not transport._pool._idle
        done.set()


async def test_request_as_written(transport):
    async def script(peer: Peer) -> None:
        seen.append(await peer.request() + await peer.reader.readexactly(2))
        await peer.send(OK)

    seen = []
    async with serving(script) as server:
        url = httpx.URL(server.url + "/a%20b", params={"q": "x y"})
        request = httpx.Request("PUT", url, headers=[("X-One", "1"), ("x-one", "2")], content=b"hi")
        await fetch(transport, request)
    host = server.url.removeprefix("http://").encode()
    assert seen == [
        b"PUT /a%%20b?q=x+y HTTP/1.1\r\nHost: %b\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n\r\nhi" % host
    ]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b"])
async def test_header_that_would_break_out_is_refused(transport, value):
    with pytest.raises(httpx.LocalProtocolError):
        await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1/", headers={"X": value}))


async def test_streamed_request_body_is_refused(transport):
    async def stream():
        yield b"x"

    with pytest.raises(TypeError, match="in memory"):
        await transport.handle_async_request(httpx.Request("POST", "http://127.0.0.1/", content=stream()))


async def test_after_thousands_of_cancelled_calls_it_works_and_no_socket_is_left(transport):
    async def script(peer: Peer) -> None:
        while True:
            target = (await peer.request()).split(b" ")[1]
            if target == b"/hang":
                await peer.reader.read()
            await peer.send(OK)

    async with serving(script) as server:
        for batch in range(30):
            calls = [asyncio.create_task(fetch(transport, server.get("/hang"))) for _ in range(100)]
            for _ in range(batch % 10):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            assert all(
                isinstance(end, asyncio.CancelledError)
                for end in await asyncio.gather(*calls, return_exceptions=True)
            )
        assert await asyncio.gather(*(fetch(transport, server.get()) for _ in range(50))) == [(200, b"ok")] * 50
        await until(lambda: len(transport._pool._open) == len(transport._pool._idle))
        await until(lambda: sum(not peer.closed.is_set() for peer in server.peers) == len(transport._pool._open))
        gc.collect()  # a socket left to the collector would warn here


async def test_closing_ends_what_is_under_way(transport):
    async with serving(always(b"HTTP/1.1 200 OK\r\n\r\nhalf")) as server:
        response = await transport.handle_async_request(server.get())
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await body_of(response)
        with pytest.raises(RuntimeError):
            await transport.handle_async_request(server.get())

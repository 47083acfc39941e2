"""What the transport makes of what a server sends."""

import httpx
import pytest

from tests.upstreams.transport.wire import OK, Peer, always, fetch, once, one_by_one, serving

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

"""What is sent, and bodies too big for one piece."""

import asyncio
import os

import httpx
import pytest

from tests.upstreams.transport.wire import OK, Peer, always, fetch, serving

MIB = 1024 * 1024


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
            assert len(response.stream._arrived) <= MIB
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

"""Which connections are used again, and that an answer never meets another's request."""

import asyncio
import gc
import os
import weakref

import httpx
import pytest

from tests.upstreams.transport.wire import OK, Peer, always, body_of, echo, fetch, once, one_by_one, serving, until
from upstreams._http import pool


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


async def test_answer_that_was_there_before_the_request_is_not_its_answer(transport):
    async with serving(echo) as server:
        await fetch(transport, server.get("/first"))
        # Past the loop: nothing gets to read it before the next request is sent.
        os.write(server.peers[0].writer.get_extra_info("socket").fileno(), OK)
        assert await fetch(transport, server.get("/second")) == (200, b"/second")
        await server.peers[0].closed.wait()


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


async def test_answer_is_freed_without_the_garbage_collector(transport):
    async with serving(always(OK)) as server:
        gc.disable()
        try:
            response = await transport.handle_async_request(server.get())
            assert await body_of(response) == b"ok"
            stream = weakref.ref(response.stream)
            del response
            await asyncio.sleep(0)  # the loop itself holds what it is just handing over
            assert stream() is None
        finally:
            gc.enable()


async def test_closing_reaches_a_connection_that_is_only_being_made(transport):
    async with serving(echo) as server:
        call = asyncio.create_task(fetch(transport, server.get()))
        await asyncio.sleep(0)
        await transport.aclose()
        with pytest.raises(httpx.ReadError):
            await call
        await until(lambda: all(peer.closed.is_set() for peer in server.peers))

"""Calls that change something, with a server that counts them: none arrives twice, whatever happens."""

import asyncio

import msgspec
import pytest

from tests.upstreams.transport.wire import OK, Peer, always, fetch, serving
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

ANYTHING = msgspec.json.Decoder()
JSON_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def pipe(transport, **policy):
    return Pipe("up", Policy(**{"timeout": 5.0, "deadline": 5.0, "retries": 5} | policy), transport)


async def sent(pipe, server):
    return await pipe.send(Address.parse(server.url), "POST", "/things", into=ANYTHING, content=b"{}")


async def streamed(pipe, server):
    async def take(piece):
        """Take a piece of the answer."""

    await pipe.stream(Address.parse(server.url), "/things", content=b"{}", sink=take)


async def failure_of(call):
    with pytest.raises(UpstreamFailure) as caught:
        await call
    return caught.value


class Counting:
    """Reads whole requests and counts them; what then happens to the connection is ``then``."""

    def __init__(self, then):
        self.requests = 0
        self._then = then

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        assert await peer.reader.readexactly(2) == b"{}"
        self.requests += 1
        await self._then(peer)


async def reset(peer: Peer) -> None:
    peer.writer.transport.abort()


async def close(peer: Peer) -> None:
    """Close without a word, as the end of the script does."""


async def break_off(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")


async def say_nothing(peer: Peer) -> None:
    await peer.reader.read()


async def fail(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")


async def lose(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize("call", [sent, streamed])
@pytest.mark.parametrize(
    ("then", "reason", "unknown"),
    [
        (reset, Reason.RESET, True),
        (close, Reason.RESET, True),
        (break_off, Reason.RESET, True),
        (say_nothing, Reason.TIMEOUT, True),
        (lose, Reason.STATUS, True),
        (fail, Reason.STATUS, False),
    ],
)
async def test_a_call_that_was_read_is_not_made_again(transport, call, then, reason, unknown):
    counting = Counting(then)
    async with serving(counting) as server:
        failed = await failure_of(call(pipe(transport, timeout=0.2), server))
        assert (failed.reason, failed.outcome_unknown) == (reason, unknown)
        assert (counting.requests, len(server.peers)) == (1, 1)


async def test_a_read_that_fails_so_is_made_again(transport):
    counting = Counting(reset)
    async with serving(counting) as server:
        reading = pipe(transport, retries=1).query(
            Address.parse(server.url), "/things", content=b"{}", into=ANYTHING
        )
        assert (await failure_of(reading)).reason is Reason.RESET
        assert counting.requests == 2


async def test_it_does_not_meet_a_kept_connection_that_the_server_is_closing(transport):
    async def script(peer: Peer) -> None:
        await peer.answer(JSON_OK)
        if peer.number == 0:
            await peer.request()  # and close on it, as a server does that was already closing
        else:
            await peer.answer(JSON_OK)

    async with serving(script) as server:
        assert await fetch(transport, server.get()) == (200, b"{}")
        assert await sent(pipe(transport), server) == {}
        assert len(server.peers) == 2


async def test_each_has_a_new_connection_and_leaves_it_to_reads(transport):
    async with serving(always(JSON_OK)) as server:
        for count in (1, 2, 3):
            assert await sent(pipe(transport), server) == {}
            assert len(server.peers) == count
        at = Address.parse(server.url)
        for _ in range(5):
            await pipe(transport).get(at, "/", into=ANYTHING)
        assert len(server.peers) == 3


@pytest.mark.parametrize("call", [sent, streamed])
async def test_cancelling_it_closes_its_connection_and_no_other(transport, call):
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.number == 0:
            await always(JSON_OK)(peer)
        await peer.request()
        arrived.set()
        await peer.reader.read()

    async with serving(script) as server:
        await fetch(transport, server.get())
        calling = asyncio.create_task(call(pipe(transport), server))
        await arrived.wait()
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.peers[1].closed.wait()
        assert await fetch(transport, server.get()) == (200, b"{}")
        assert len(server.peers) == 2


async def test_a_stream_comes_piece_by_piece(transport):
    taken: asyncio.Queue[bytes] = asyncio.Queue()
    pieces = [b"one", b"two", b"three"]

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await received.wait()  # the next is not sent before this one has been taken
            received.clear()
        await peer.send(b"0\r\n\r\n")

    received = asyncio.Event()
    async with serving(script) as server, asyncio.timeout(5):
        at = Address.parse(server.url)
        streaming = asyncio.create_task(
            pipe(transport).stream(at, "/things", content=b"", sink=taken.put, max_bytes=100)
        )
        for piece in pieces:
            assert await taken.get() == piece
            received.set()
        await streaming


async def test_a_stream_that_is_cancelled_within_closes_the_connection(transport):
    taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await peer.reader.read()

    async with serving(script) as server:
        at = Address.parse(server.url)
        streaming = asyncio.create_task(pipe(transport).stream(at, "/", content=b"", sink=taken.put))
        assert await taken.get() == b"half"
        streaming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await streaming
        await server.peers[0].closed.wait()


async def test_a_stream_without_end_is_cut_off(transport):
    async def script(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(bytes(1024))

    async def take(piece: bytes) -> None:
        sizes.append(len(piece))

    sizes: list[int] = []
    async with serving(script) as server:
        streaming = pipe(transport).stream(
            Address.parse(server.url), "/", content=b"", sink=take, max_bytes=64 * 1024
        )
        assert (await failure_of(streaming)).reason is Reason.TOO_LARGE
        assert sum(sizes) <= 64 * 1024
        await server.peers[0].closed.wait()


async def test_a_stream_holds_its_place_until_it_ends(transport):
    async with serving(say) as server:
        piped = pipe(transport, max_concurrency=1, max_queue=0)
        taken: asyncio.Queue[bytes] = asyncio.Queue()
        at = Address.parse(server.url)
        streaming = asyncio.create_task(piped.stream(at, "/", content=b"", sink=taken.put))
        await taken.get()
        assert (await failure_of(sent(piped, server))).reason is Reason.SATURATED
        streaming.cancel()
        await asyncio.gather(streaming, return_exceptions=True)
        assert (await failure_of(sent(piped, server))).reason is Reason.MALFORMED  # asked, and answered in words


async def say(peer: Peer) -> None:
    await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nwords")
    if peer.number == 0:
        await peer.reader.read()


async def test_a_fresh_connection_is_used_once_it_is_idle(transport):
    async with serving(always(OK)) as server:
        fresh = {"fresh_connection": True}
        assert await fetch(transport, server.get(extensions=fresh)) == (200, b"ok")
        assert await fetch(transport, server.get()) == (200, b"ok")
        assert len(server.peers) == 1
        assert await fetch(transport, server.get(extensions=fresh)) == (200, b"ok")
        assert len(server.peers) == 2

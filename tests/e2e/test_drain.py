"""``bff serve`` told to end while it is used: nobody loses a request, nothing holds it for ten seconds."""

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from demo.asgi import whole_body
from demo.people import ADA, PEOPLE
from demo.platform import Platform
from tests.e2e.load import Balancer, Load, connected, read, request
from tests.e2e.process import WITHIN, Serving, serving
from tests.faults.rig import until
from tests.redis_servers import RedisServer

Settings = dict[str, Any]
CHAT = b'{"message": "hi"}'
COMPLETIONS = "/v1/chat/completions"
KEPT = request("/api/dashboard/cost", ADA.session_token)
UNKNOWN = {"error": "Service unavailable: the outcome is unknown"}
TALKERS = [person.session_token for person in PEOPLE if not person.own_gateway][:3]
ANSWER = 1000  # bytes, at least
BETWEEN = 4 * 1024 * 1024  # bytes, more than the kernel holds for a connection
PIECE = 50  # requests in a piece
WORD = b'data: {"choices":[{"delta":{"content":"Well"}}]}\n\n'


class Lengthy:
    """A gateway's chat that says a word and then nothing more. ``left``: so many were not waited for."""

    def __init__(self) -> None:
        self.asked = 0
        self.left = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        self.asked += 1
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": WORD, "more_body": True})
        await receive()
        self.left += 1


@pytest.fixture
def lengthy(platform: Platform) -> Lengthy:
    platform.upstreams["gateway"]._routes[COMPLETIONS] = chat = Lengthy()
    return chat


async def test_8_a_server_in_use_ends_and_nobody_loses_a_request(
    settings: Settings, lengthy: Lengthy, tmp_path: Path
) -> None:
    settings |= {"server": {"max_connections": 100}}  # for which there are file descriptors anywhere
    async with serving(settings, tmp_path) as bff, AsyncExitStack() as stack:
        load = Load(bff.public, KEPT)
        streams = [await _begin_to_stream(stack, bff, token) for token in TALKERS]
        whole = await _ask(stack, bff, _chat(ADA.session_token, "application/json"))
        idle, _ = await stack.enter_async_context(connected(bff.public))
        async with load.running():
            answered = load.answered
            started = time.monotonic()
            bff.process.terminate()
            assert await idle.read() == b""
            idle_for = time.monotonic() - started
            ends = await asyncio.gather(*(stream.read() for stream in streams))
            answer = await read(whole)
            assert await whole.read() == b""
            assert await bff.ended() == 0
            seconds = time.monotonic() - started

        assert load.failures == []
        assert load.answered > answered
        assert load.last_ones > load.clients
        for end in ends:
            assert _events(end) == [("error", UNKNOWN)]
        assert (answer.status, json.loads(answer.body)) == (503, UNKNOWN)
        assert "\r\nretry-after: " in answer.head
        assert lengthy.asked == lengthy.left == len(TALKERS) + 1
        assert idle_for < 6 < seconds < 10
        assert not [line for line in bff.logs if line["level"] != "info"]


async def test_8_nothing_holds_it_for_ten_seconds(settings: Settings, lengthy: Lengthy, tmp_path: Path) -> None:
    with RedisServer() as redis:
        settings |= {"cache": {"redis_url": redis.url}}
        async with AsyncExitStack() as stack:
            starting = [stack.enter_async_context(_replica(settings, tmp_path, workers)) for workers in (1, 2)]
            servers = await asyncio.gather(*starting)
            for bff in servers:
                for token in TALKERS:
                    await _begin_to_stream(stack, bff, token)
            for deaf in await asyncio.gather(*(asyncio.to_thread(_deaf, bff) for bff in servers * 2)):
                stack.enter_context(deaf)
            stack.enter_context(redis.hung())
            started = time.monotonic()
            for bff in servers:
                bff.process.terminate()
            await asyncio.gather(*(bff.ended() for bff in servers))
            assert time.monotonic() - started < 10
            assert not [line for bff in servers for line in bff.logs if line["level"] == "error"]


async def test_8_replicas_are_replaced_one_by_one_and_nobody_notices(settings: Settings, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(_replica(settings, tmp_path)) for _ in range(2)]
        balancer = Balancer(first.public, second.public)
        load = Load(await stack.enter_async_context(balancer.open()), KEPT)
        async with load.running():
            for old in (first, second):
                old.process.terminate()
                starting = stack.enter_async_context(_replica(settings, tmp_path))
                new, _ = await asyncio.gather(starting, old.ended())
                balancer.servers[balancer.servers.index(old.public)] = new.public
                await until(lambda new=new: balancer.ready.count(new.public))
                await load.more(50)
        assert load.failures == []


@asynccontextmanager
async def _replica(settings: Settings, folder: Path, workers: int = 1) -> AsyncIterator[Serving]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        async with serving(settings | {"server": {"workers": workers}}, Path(own)) as bff:
            yield bff


async def _ask(stack: AsyncExitStack, bff: Serving, asked: bytes) -> asyncio.StreamReader:
    """Send a request on a connection of its own; return what its answer comes by."""
    reader, writer = await stack.enter_async_context(connected(bff.public))
    writer.write(asked)
    return reader


def _chat(token: str, accept: str) -> bytes:
    return request("/api/chat", token, f"Accept: {accept}", method="POST", body=CHAT)


async def _begin_to_stream(stack: AsyncExitStack, bff: Serving, token: str) -> asyncio.StreamReader:
    """Return what a reply comes by, whose first word has come."""
    reader = await _ask(stack, bff, _chat(token, "text/event-stream"))
    await asyncio.wait_for(reader.readuntil(b'{"text":"Well"}\n\n\r\n'), WITHIN)
    return reader


def _events(text: bytes) -> list[tuple[str, Any]]:
    """Return the events of the rest of a body in chunks, which must be whole."""
    assert text.endswith(b"\r\n0\r\n\r\n")
    events = [event.split("\n") for event in text.decode().split("event: ")[1:]]
    return [(kind, json.loads(data.removeprefix("data: "))) for kind, data, *_ in events]


def _deaf(bff: Serving) -> socket.socket:
    """Return a connection on which more was asked than fits between the server and a client that reads nothing."""
    host, _, port = bff.public.removeprefix("http://").rpartition(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect((host, int(port)))
    deaf.settimeout(WITHIN)
    deaf.sendall(KEPT)
    assert deaf.recv(4096)  # now it is kept
    for _ in range(BETWEEN // (ANSWER * PIECE)):
        deaf.sendall(KEPT * PIECE)
        time.sleep(0.005)  # a piece at a time
    return deaf

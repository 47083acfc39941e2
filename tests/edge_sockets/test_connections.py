"""How many connections there may be, and what becomes of those that are idle, slow or deaf."""

import asyncio
import gc
import socket
import weakref

import pytest

from bff.edge.connections import MOST_FAREWELLS
from tests.edge_sockets.echo import Echo, connection_of
from tests.edge_sockets.wire import get, serving, until

MEGABYTE = 1024 * 1024


async def flood(scope, receive, send):
    """Answer with more than any client takes without reading."""
    headers = [(b"content-length", b"%d" % (100 * MEGABYTE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for left in reversed(range(100)):
        await send({"type": "http.response.body", "body": b"x" * MEGABYTE, "more_body": left > 0})


async def last_flood(scope, receive, send):
    """Answer so in one piece, which is the last on the connection."""
    headers = [(b"content-length", b"%d" % (20 * MEGABYTE)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * (20 * MEGABYTE)})


async def is_open(wire):
    return (await wire.ask(get("/short"))).body == b"/short"


async def is_closed(wire):
    return await wire.rest() == b""


async def stop_reading(wire):
    wire._writer.transport.pause_reading()


# How many there may be


async def test_the_one_that_has_been_idle_longest_makes_room():
    async with serving(Echo(), limit=3) as front:
        first, second, third = [await front.connect() for _ in range(3)]
        for wire in (first, second, third, first):
            await wire.ask(get("/short"))
        fourth = await front.connect()
        assert await is_open(fourth)
        assert await is_closed(second)
        assert [await is_open(wire) for wire in (first, third)] == [True, True]
        assert front.dropped("made_room") == 1
        assert len(front.admitted) == 3


async def test_one_that_is_being_answered_makes_no_room():
    async with serving(Echo(), limit=2) as front:
        busy, idle = await front.connect(), await front.connect()
        await idle.ask(get("/short"))
        busy.write(get("/wait"))
        await until(lambda: front._app.waiting)
        assert await is_open(await front.connect())
        assert await is_closed(idle)
        front._app.go.set()
        assert (await busy.read()).body == b"/wait 0"


@pytest.mark.parametrize("sent", [b"", b"GET /short HT"], ids=["nothing", "a part of a head"])
async def test_without_an_idle_one_the_slowest_to_ask_makes_room(sent):
    async with serving(Echo(), limit=2) as front:
        slow = [await front.connect(), await front.connect()]
        for wire in slow:
            wire.write(sent)
        assert await is_open(await front.connect())
        assert await is_closed(slow[0])
        slow[1].write(get("/short")[len(sent) :])
        assert (await slow[1].read()).body == b"/short"


@pytest.mark.parametrize("asks", [False, True], ids=["before it asks", "having asked"])
async def test_without_any_that_could_make_room_a_new_one_is_told_so(asks):
    async with serving(Echo(), limit=2) as front:
        busy = [await front.connect(), await front.connect()]
        for wire in busy:
            wire.write(get("/wait"))
        await until(lambda: front._app.waiting == 2)
        wire = await front.connect()
        if asks:
            wire.write(get("/short") * 1000)
        refused = await wire.read()
        assert (refused.status, refused.json) == (503, {"error": "Service unavailable"})
        assert refused.headers["retry-after"].isdigit()
        assert refused.headers["connection"] == "close"
        assert refused.headers["x-request-id"]
        assert await is_closed(wire)
        assert front.dropped("full") == 1
        assert front.usual == len(front.admitted) == 2

        front._app.go.set()
        assert [(await wire.read()).body for wire in busy] == [b"/wait 0"] * 2
        assert await is_open(await front.connect())


async def test_a_crowd_is_turned_away_without_a_word():
    async with serving(Echo(), limit=1) as front:
        busy = await front.connect()
        busy.write(get("/wait"))
        await until(lambda: front._app.waiting)
        crowd = [await front.connect() for _ in range(MOST_FAREWELLS + 10)]
        heard = await asyncio.gather(*(wire.rest() for wire in crowd))
        assert [text.startswith(b"HTTP/1.1 503 ") for text in heard] == [True] * MOST_FAREWELLS + [False] * 10
        assert front.dropped("full") == len(crowd)
        front._app.go.set()
        assert (await busy.read()).body == b"/wait 0"


async def test_whoever_is_turned_away_and_stays_is_cut_off(front):
    async with serving(Echo(), limit=1) as front:
        busy = await front.connect()
        busy.write(get("/wait"))
        await until(lambda: front._app.waiting)
        wire = await front.connect()
        assert (await wire.read()).status == 503
        await until(lambda: not front.admitted._farewells)
        front._app.go.set()


async def test_connections_that_end_leave_their_places():
    async with serving(Echo(), limit=2) as front:
        for _ in range(10):
            wires = [await front.connect(), await front.connect()]
            assert [await is_open(wire) for wire in wires] == [True, True]
            for wire in wires:
                wire.abort()
            await until(lambda: not len(front.admitted))
        assert front.dropped("made_room") == front.dropped("full") == 0


# Who does not read


async def test_a_client_that_does_not_read_is_cut_off():
    async with serving(flood, write_seconds=0.2) as front:
        wire = await front.connect()
        await stop_reading(wire)
        wire.write(get("/flood"))
        await until(lambda: front.dropped("slow_reader") == 1)
        await until(lambda: not front.connections and not front.state.tasks)


async def test_a_connection_whose_end_is_not_read_is_cut_off():
    async with serving(last_flood, closing_seconds=0.1) as front:
        wire = await front.connect()
        await stop_reading(wire)
        wire.write(get("/flood"))
        await until(lambda: front.dropped("lingering") == 1)
        await until(lambda: not front.connections and not front.state.tasks)
        assert front.dropped("slow_reader") == 0


# What a connection holds


async def test_an_idle_connection_keeps_nothing_of_what_was_asked_on_it(front):
    wire = await front.connect()
    connection = await connection_of(front)
    for path in ("/short", "/echo"):
        await wire.ask(get(path, None, f"X: {'x' * 10_000}"))
        await until(lambda: not connection.is_busy)
        assert connection.scope is None
        assert connection.headers == []


async def test_what_has_ended_is_forgotten(front):
    wire = await front.connect()
    await is_open(wire)
    connection = weakref.ref(await connection_of(front))
    wire.abort()
    await until(lambda: not front.connections)
    await until(lambda: gc.collect() is not None and connection() is None)


async def test_a_head_that_is_dropped_is_counted():
    async with serving(Echo(), head_seconds=0.1) as front:
        wire = await front.connect()
        wire.write(b"GET")
        assert await is_closed(wire)
        assert front.dropped("slow_head") == 1


async def test_a_client_that_resets_while_it_waits_leaves_nothing(front):
    wire = await front.connect()
    wire.write(get("/wait"))
    await until(lambda: front._app.waiting)
    raw = wire._writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.abort()
    await until(lambda: not len(front.admitted))
    front._app.go.set()

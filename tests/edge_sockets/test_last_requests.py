"""What becomes of connections, and of requests in progress, while a server ends."""

import asyncio
import os

import pytest

from demo.people import ADA
from tests.edge_sockets.echo import Echo, connection_of
from tests.edge_sockets.wire import chunk, get, post, serving, until

TOKEN = ADA.session_token
STATS = "/api/dashboard/stats"
LAST = "close"


# Every response is the last on its connection


@pytest.mark.parametrize("path", [STATS, "/nowhere", "/readyz"])
async def test_every_response_says_so_and_ends_the_connection(open_gateway, path):
    front = await open_gateway()
    wire = await front.connect()
    assert "connection" not in (await wire.ask(get(path, TOKEN))).headers
    usual = front.usual
    front.admitted.drain()
    assert (await wire.ask(get(path, TOKEN))).headers["connection"] == LAST
    assert await wire.rest() == b""
    assert front.usual == usual + (path != STATS)  # a kept answer takes the short way all the same


async def test_so_does_the_one_in_progress(front):
    wire = await front.connect()
    wire.write(get("/wait"))
    await until(lambda: front._app.waiting)
    front.admitted.drain()
    front._app.go.set()
    response = await wire.read()
    assert (response.body, response.headers["connection"]) == (b"/wait 0", LAST)
    assert await wire.rest() == b""


async def test_of_several_in_progress_the_last_one_does(front):
    wire = await front.connect()
    wire.write(get("/wait") + get("/echo") + get("/short"))
    await until(lambda: front._app.waiting)
    front.admitted.drain()
    front._app.go.set()
    responses = [await wire.read() for _ in range(3)]
    assert [each.body for each in responses] == [b"/wait 0", b"/echo 0", b"/short 0"]
    assert [each.headers.get("connection") for each in responses] == [None, None, LAST]
    assert await wire.rest() == b""


@pytest.mark.parametrize("path", ["/short", "/echo"])
async def test_what_comes_behind_the_last_is_not_carried_out(front, path):
    front.admitted.drain()
    wire = await front.connect()
    wire.write(get(path) + post("/behind", None, b"body") * 5)
    response = await wire.read()
    assert response.body.startswith(path.encode())
    assert await wire.rest() == b""
    assert front.usual == (path == "/echo")


# The server lets nobody else in


async def test_an_idle_connection_is_closed(front):
    wire = await front.connect()
    await wire.ask(get("/short"))
    (await connection_of(front)).shutdown()
    await until(lambda: not front.connections)
    assert await wire.rest() == b""


@pytest.mark.parametrize("before", [b"", get("/short")], ids=["first", "later"])
async def test_whoever_has_just_asked_is_answered(front, before):
    wire = await front.connect()
    if before:
        await wire.ask(before)
    connection = await connection_of(front)
    front.admitted.drain()
    os.write(wire._writer.get_extra_info("socket").fileno(), get("/echo"))  # has arrived, and was not read yet
    connection.shutdown()
    response = await wire.read()
    assert (response.body, response.headers["connection"]) == (b"/echo 0", LAST)
    assert await wire.rest() == b""


async def test_whoever_has_just_come_may_ask(front):
    wire = await front.connect()
    front.admitted.drain()
    (await connection_of(front)).shutdown()
    wire.write(get("/echo"))
    assert (await wire.read()).body == b"/echo 0"
    assert await wire.rest() == b""


@pytest.mark.parametrize("sent", [b"", b"GET /sh"], ids=["nothing", "a part of a head"])
async def test_but_not_for_long(front, sent):
    wire = await front.connect()
    wire.write(sent)
    (await connection_of(front)).shutdown()
    assert await wire.rest() == b""


# The server ends before the answer is there


@pytest.mark.parametrize(
    ("method", "error"),
    [("GET", "Service unavailable"), ("POST", "Service unavailable: the outcome is unknown")],
)
async def test_a_request_that_is_cancelled_is_told_so(front, method, error):
    wire = await front.connect()
    wire.write(get("/wait", method=method))
    await until(lambda: front._app.waiting)
    front.admitted.drain()
    for task in front.state.tasks:
        task.cancel()
    response = await wire.read()
    assert (response.status, response.json) == (503, {"error": error})
    assert response.headers["retry-after"].isdigit()
    assert response.headers["x-request-id"]
    assert response.headers["connection"] == LAST
    assert await wire.rest() == b""


async def test_one_that_was_answered_in_part_is_cut_off_without_a_line_in_the_log(caplog):
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await asyncio.sleep(3600)

    async with serving(half) as front:
        wire = await front.connect()
        wire.write(get("/"))
        await wire._reader.readuntil(b"half")
        for task in front.state.tasks:
            task.cancel()
        assert await wire.rest() == b""
        await until(lambda: not front.state.tasks)
    assert not caplog.records


@pytest.mark.parametrize("sent", [b"", b"{"], ids=["head alone", "a part of the body"])
async def test_a_write_whose_body_has_not_come_was_not_done(open_gateway, sent):
    front = await open_gateway()
    wire = await front.connect()
    wire.write(get("/api/chat", TOKEN, "Content-Length: 100", "Expect: 100-continue", method="POST"))
    await wire._reader.readuntil(b"HTTP/1.1 100 Continue\r\n\r\n")  # the body is waited for
    wire.write(sent)
    front.admitted.drain()
    for task in front.state.tasks:
        task.cancel()
    response = await wire.read()
    assert (response.status, response.json) == (503, {"error": "Service unavailable"})
    assert response.headers["retry-after"].isdigit()
    assert await wire.rest() == b""


async def test_a_lost_connection_ends_the_request_in_progress_also_with_others_behind_it(front, caplog):
    wire = await front.connect()
    wire.write(get("/wait", method="POST") + get("/echo") * 3)
    await until(lambda: front._app.waiting)
    (await connection_of(front)).transport.abort()
    front._app.go.set()
    await until(lambda: front._app.left == 1 and not front.state.tasks)
    assert front.usual == 1
    assert not caplog.records


# What a request may bring besides its body


@pytest.mark.parametrize("trailer", [b"X: y\r\n", b"X: " + b"y" * 1000], ids=["many", "one without end"])
async def test_trailers_are_bounded_as_heads_are(front, trailer):
    wire = await front.connect()
    connection = await connection_of(front)
    wire.write(get("/echo", None, "Transfer-Encoding: chunked", method="POST") + chunk(b"body") + b"0\r\n")
    await until(lambda: front.usual)
    for _ in range(60 * 1024 // len(trailer)):
        connection.data_received(trailer)
    assert connection.headers == []
    assert not connection.transport.is_closing()
    for _ in range(10 * 1024 // len(trailer)):
        if not connection.transport.is_closing():
            connection.data_received(trailer)
    assert (await wire.read()).status == 431
    assert await wire.rest() == b""


async def test_what_frames_a_body_in_small_chunks_does_not_count(front):
    wire = await front.connect()
    connection = await connection_of(front)
    connection.data_received(get("/echo", None, "Transfer-Encoding: chunked", method="POST"))
    for _ in range(20_000):
        for piece in (b"1\r\n", b"x", b"\r\n"):
            connection.data_received(piece)
    connection.data_received(b"0\r\nX: trailer\r\n\r\n")
    assert (await wire.read()).body == b"/echo 20000"
    assert (await wire.ask(get("/short"))).body == b"/short"


@pytest.mark.parametrize("behind", [128, 129])
async def test_so_many_requests_may_wait_for_an_earlier_one(front, behind):
    wire = await front.connect()
    wire.write(get("/wait"))
    await until(lambda: front._app.waiting)
    (await connection_of(front)).data_received(get("/echo") * behind)
    front._app.go.set()
    if behind > 128:
        assert await wire.rest() == b""
    else:
        assert [(await wire.read()).status for _ in range(behind + 1)] == [200] * (behind + 1)


async def test_a_malformed_body_is_not_answered_in_place_of_an_earlier_request():
    async with serving(Echo()) as front:
        wire = await front.connect()
        bad = get("/echo", None, "Transfer-Encoding: chunked", method="POST") + b"no size\r\n"
        (await connection_of(front)).data_received(get("/wait") + bad)
        assert await wire.rest() == b""
        front._app.go.set()

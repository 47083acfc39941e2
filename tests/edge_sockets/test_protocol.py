"""Answering at once leaves a connection as any other answer does."""

import asyncio
import gc

import pytest

from demo.people import ADA
from tests.edge_sockets.echo import connection_of
from tests.edge_sockets.wire import get, until

STATS = "/api/dashboard/stats"
COST = "/api/dashboard/cost"
TOKEN = ADA.session_token


async def test_a_hundred_requests_in_one_write_are_answered_in_order(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    asked = [str(number) for number in range(100)]
    paths = [STATS, STATS, f"{COST}?period=7d", "/nowhere", STATS, "/api/dashboard/data", STATS]
    asks = [
        get(paths[index % len(paths)], TOKEN if index % 5 else None, f"X-Request-ID: {name}")
        for index, name in enumerate(asked)
    ]
    await wire.ask(get(STATS, TOKEN))
    wire.write(b"".join(asks))
    answers = [await wire.read() for _ in asks]
    assert [each.headers["x-request-id"] for each in answers] == asked
    for index, answer in enumerate(answers):
        missing = paths[index % len(paths)] == "/nowhere"
        assert answer.status == (404 if missing else 200 if index % 5 else 401)


async def test_a_hit_behind_a_miss_waits_for_its_turn(front):
    wire = await front.connect()
    wire.write(get("/short") + get("/wait") + get("/short") + get("/echo") + get("/short"))
    assert (await wire.read()).body == b"/short"
    await until(lambda: front._app.waiting)
    front._app.go.set()
    rest = [(await wire.read()).body for _ in range(4)]
    assert rest == [b"/wait 0", b"/short 0", b"/echo 0", b"/short 0"]
    assert (await wire.ask(get("/short"))).body == b"/short"


@pytest.mark.parametrize("body", [b"x" * 10, get("/echo"), b"\r\n\r\n"], ids=["text", "request", "empty lines"])
async def test_a_body_is_not_taken_for_a_request(front, body):
    wire = await front.connect()
    lengthy = get("/short", None, f"Content-Length: {len(body)}")
    chunked = get("/short", None, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for request in (lengthy + body, chunked):
        wire.write(request + get("/echo"))
        assert [(await wire.read()).body for _ in range(2)] == [b"/short", b"/echo 0"]
    assert (await wire.ask(lengthy)).body == b"/short"
    wire.write(body[:5])
    await asyncio.sleep(0)
    wire.write(body[5:] + get("/short"))
    assert (await wire.read()).body == b"/short"


@pytest.mark.parametrize("request_", [get("/wait"), get("/short") + get("/wait"), get("/wait") + get("/short")])
async def test_a_client_may_go_away(front, request_):
    wire = await front.connect()
    wire.write(request_)
    await until(lambda: front._app.waiting)
    wire.abort()
    front._app.go.set()
    await until(lambda: not front.connections and not front.state.tasks)
    other = await front.connect()
    assert (await other.ask(get("/short"))).body == b"/short"


@pytest.mark.parametrize("sent", [b"GET /sh", get("/short"), get("/short") + b"GET", b""])
async def test_a_client_that_went_away_leaves_nothing(front, sent):
    wire = await front.connect()
    wire.write(sent)
    connection = await connection_of(front)
    wire.abort()
    await until(lambda: not front.connections)
    assert front.is_free_of(connection)


async def test_a_slow_reader_is_not_written_to_without_end(front):
    wire = await front.connect()
    connection = await connection_of(front)
    connection.pause_writing()
    wire.write(get("/short"))
    await until(lambda: front.usual)
    connection.resume_writing()
    assert (await wire.read()).body == b"/short 0"
    assert (await wire.ask(get("/short"))).body == b"/short"


async def test_a_server_that_ends_closes_a_connection_that_was_answered_at_once(front):
    wire = await front.connect()
    await wire.ask(get("/short"))
    (connection,) = front.connections
    connection.shutdown()
    assert await wire.rest() == b""


async def test_a_thousand_requests_leave_one_timer(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    await wire.ask(get(STATS, TOKEN))
    before, tasks = front.usual, asyncio.all_tasks()
    for _ in range(1000):
        assert (await wire.ask(get(STATS, TOKEN))).status == 200
    (connection,) = front.connections
    assert front.usual == before
    assert front.state.total_requests == 1001
    assert asyncio.all_tasks() <= tasks
    armed = [
        each
        for each in gc.get_objects()
        if isinstance(each, asyncio.TimerHandle)
        and not each.cancelled()
        and getattr(each._callback, "__self__", None) is connection
    ]
    assert armed == []
    assert connection in front.admitted.idle
    assert connection not in front.admitted.heads

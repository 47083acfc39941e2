"""How large a request's head may be, and how long it may take."""

import asyncio

import pytest

from tests.edge_sockets.echo import Echo, connection_of
from tests.edge_sockets.wire import get, serving, until

KILOBYTE = 1024
REFUSED = b'{"error":"Request header fields too large"}'


@pytest.fixture
async def impatient():
    """Give an application behind the protocol that has 0.1 s for a head."""
    async with serving(Echo(), head_seconds=0.1) as front:
        yield front


async def refusal(wire):
    response = await wire.read()
    assert (response.status, response.body) == (431, REFUSED)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["connection"] == "close"
    assert await wire.rest() == b""


def head(size, path="/echo"):
    """Return a request whose head is so many bytes, in lines of a kilobyte."""
    start, end = get(path)[:-2], b"\r\n"
    lines, last = divmod(size - len(start) - len(end), KILOBYTE)
    line = b"X: " + b"x" * (KILOBYTE - 5) + b"\r\n"
    return start + line * lines + (b"Y: " + b"y" * (last - 5) + b"\r\n" if last else b"") + end


# How large a head may be


@pytest.mark.parametrize("path", ["/echo", "/short"])
async def test_a_head_of_64_kilobytes_passes(front, path):
    wire = await front.connect()
    assert (await wire.ask(head(64 * KILOBYTE, path))).status == 200


@pytest.mark.parametrize("path", ["/echo", "/short"])
@pytest.mark.parametrize("before", [b"", get("/short")], ids=["first", "later"])
@pytest.mark.parametrize("size", [64 * KILOBYTE + 100, 100 * KILOBYTE, 1000 * KILOBYTE])
async def test_a_larger_head_is_refused_also_in_one_piece(front, size, path, before):
    wire = await front.connect()
    if before:
        await wire.ask(before)
    (await connection_of(front)).data_received(head(size, path) + get("/short"))
    await refusal(wire)
    assert front.usual == 0


async def test_a_larger_head_is_refused_behind_a_request_that_was_answered(front):
    wire = await front.connect()
    (await connection_of(front)).data_received(get("/short") + head(100 * KILOBYTE))
    assert (await wire.read()).body == b"/short"
    await refusal(wire)


@pytest.mark.parametrize("refused", [head(100 * KILOBYTE), b"no request\r\n\r\n", b"\0"])
async def test_no_refusal_is_taken_for_the_response_that_is_still_to_come(front, refused):
    wire = await front.connect()
    wire.write(get("/wait"))
    await until(lambda: front._app.waiting)
    wire.write(refused)
    assert await wire.rest() == b""
    front._app.go.set()


async def test_a_malformed_body_is_refused_as_that_of_its_request(front):
    wire = await front.connect()
    response = await wire.ask(get("/echo", None, "Transfer-Encoding: chunked", method="POST") + b"no size\r\n")
    assert response.status == 400
    assert await wire.rest() == b""


async def test_what_is_no_request_is_refused(front):
    wire = await front.connect()
    assert (await wire.ask(b"no request\r\n\r\n")).status == 400
    assert await wire.rest() == b""


@pytest.mark.parametrize(
    "start",
    [b"GET /" + b"a" * 10, get("/echo")[:-2] + b"X: ", get("/echo")[:-2] + b"X", b"GET /?"],
    ids=["path", "value", "name", "query"],
)
async def test_one_endless_part_is_refused(front, start):
    wire = await front.connect()
    wire.write(start)
    for _ in range(64):  # not a byte after the one too many: what a server leaves unread resets the connection
        wire.write(b"a" * KILOBYTE)
        await asyncio.sleep(0)
    await refusal(wire)


async def test_a_head_is_counted_however_it_comes(front):
    wire = await front.connect()
    connection = await connection_of(front)
    sent = get("/echo")[:-2] + b"X: " + b"a" * (64 * KILOBYTE)
    for byte in sent[: 64 * KILOBYTE]:
        connection.data_received(bytes([byte]))
    assert not connection.transport.is_closing()
    connection.data_received(sent[64 * KILOBYTE :][:1])
    await refusal(wire)


async def test_bodies_do_not_count_as_head(front):
    wire = await front.connect()
    size = 300 * KILOBYTE
    post = get("/echo", None, f"Content-Length: {size}", method="POST") + b"b" * size
    for _ in range(3):
        assert (await wire.ask(post)).body == b"/echo %d" % size


async def test_what_came_in_one_piece_with_the_start_of_a_head_does_not_count(front):
    wire = await front.connect()
    size = 100 * KILOBYTE
    post = get("/echo", None, f"Content-Length: {size}", method="POST") + b"b" * size
    connection = await connection_of(front)
    connection.data_received(post + b"GET /short HT")
    connection.data_received(b"TP/1.1\r\nHost: bff\r\n\r\n")
    assert [(await wire.read()).body for _ in range(2)] == [b"/echo %d" % size, b"/short 0"]


async def test_the_bound_is_that_of_one_head(front):
    wire = await front.connect()
    wire.write(head(40 * KILOBYTE) * 10)
    assert [(await wire.read()).status for _ in range(10)] == [200] * 10


# How long a head may take


@pytest.mark.parametrize("sent", [b"", b"G", b"\r\n", get("/echo")[:-2], b"GET /" + b"a" * 1000])
async def test_an_unfinished_head_is_dropped(impatient, sent):
    wire = await impatient.connect()
    wire.write(sent)
    assert await wire.rest() == b""


@pytest.mark.parametrize("sent", [b"G", get("/echo")[:-1]])
@pytest.mark.parametrize("path", ["/short", "/echo"])
async def test_so_is_a_later_one(impatient, path, sent):
    wire = await impatient.connect()
    await wire.ask(get(path))
    wire.write(sent)
    assert await wire.rest() == b""


async def test_a_head_that_dribbles_in_is_dropped(impatient):
    wire = await impatient.connect()
    wire.write(get("/echo")[:-2])

    async def dribble():
        while True:
            wire.write(b"X: y\r\n")
            await asyncio.sleep(0.02)

    dribbling = asyncio.create_task(dribble())
    assert await wire.rest() == b""
    dribbling.cancel()


async def test_a_response_may_take_longer(impatient):
    wire = await impatient.connect()
    wire.write(get("/wait"))
    await asyncio.sleep(0.25)
    impatient._app.go.set()
    assert (await wire.read()).body == b"/wait 0"


async def test_an_idle_connection_is_kept_for_longer(impatient):
    wire = await impatient.connect()
    for path in (b"/short", b"/echo 0", b"/short"):
        assert (await wire.ask(get(path.split()[0].decode()))).body == path
        await asyncio.sleep(0.15)


@pytest.mark.parametrize("path", ["/short", "/early"])
@pytest.mark.parametrize("after", [b"\r\n", b"body"], ids=["empty line", "part of the body"])
async def test_what_is_no_head_does_not_keep_a_connection_for_good(path, after):
    async with serving(Echo(), idle_seconds=0.1) as front:
        wire = await front.connect()
        length = ["Content-Length: 10"] if after == b"body" else []
        assert (await wire.ask(get(path, None, *length))).status == 200
        wire.write(after)
        assert await wire.rest() == b""

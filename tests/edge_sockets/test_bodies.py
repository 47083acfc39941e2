"""Requests with bodies: how long they may take, how large they may be, and what is left of one that never ends."""

import asyncio
import json

import pytest

from bff.edge import body
from bff.endpoints import ACTIONS
from demo.people import ADA, PEOPLE
from tests.edge_sockets.echo import connection_of
from tests.edge_sockets.wire import chunk, get, post, until

TOKEN = ADA.session_token
AGENT = "/api/agent"
NEW_SESSION = b'{"action": "create-session"}'
STATS = "/api/dashboard/stats"
LIMIT = 1024
CHUNKED = get(AGENT, TOKEN, "Transfer-Encoding: chunked", method="POST")
UNFINISHED = {
    "length": get(AGENT, TOKEN, f"Content-Length: {len(NEW_SESSION)}", method="POST"),
    "chunks": CHUNKED + b"1c\r\n",
}
unfinished = pytest.mark.parametrize("head", UNFINISHED.values(), ids=UNFINISHED)


def credential(name):
    return json.dumps({"action": "set-credential", "key": name, "value": "secret"}).encode()


async def closed_with(wire, status, error):
    response = await wire.read()
    assert (response.status, response.json) == (status, {"error": error})
    assert response.headers["connection"] == "close"
    assert response.headers["x-request-id"]
    assert await wire.rest() == b""


async def nothing_is_left(front):
    await until(lambda: not front.connections and not front.state.tasks)


# How long a body may take


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(body, "BODY_SECONDS", 0.2)


@unfinished
async def test_a_body_that_does_not_come_is_refused(impatient, open_gateway, head):
    front = await open_gateway()
    wire = await front.connect()
    wire.write(head)
    await closed_with(wire, 408, "Request timeout")
    await nothing_is_left(front)


@unfinished
async def test_so_is_one_that_comes_byte_by_byte(impatient, open_gateway, head):
    front = await open_gateway()
    wire = await front.connect()
    wire.write(head)

    async def dribble():
        for byte in NEW_SESSION:
            wire.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    await closed_with(wire, 408, "Request timeout")
    dribbling.cancel()
    await nothing_is_left(front)


async def test_what_comes_after_a_refused_body_is_no_request(impatient, open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    wire.write(UNFINISHED["length"])
    await until(lambda: front.usual)
    await closed_with(wire, 408, "Request timeout")
    wire.write(get(STATS, TOKEN))
    assert await wire.rest() == b""
    assert front.usual == 1


async def test_a_body_in_time_is_taken_however_it_comes(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    connection = await connection_of(front)
    for byte in post(AGENT, TOKEN, NEW_SESSION):
        connection.data_received(bytes([byte]))
    assert (await wire.read()).json["status"] == "active"
    wire.write(CHUNKED + b"".join(chunk(bytes([byte])) for byte in NEW_SESSION) + b"0\r\n\r\n")
    assert (await wire.read()).json["status"] == "active"


# Who goes away


@unfinished
@pytest.mark.parametrize("sent", [b"", NEW_SESSION[:5]], ids=["head alone", "a part of the body"])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing(open_gateway, head, sent):
    front = await open_gateway()
    tasks = asyncio.all_tasks()
    wire = await front.connect()
    wire.write(head + sent)
    await until(lambda: front.usual)
    connection = await connection_of(front)
    wire.abort()
    await nothing_is_left(front)
    await until(lambda: asyncio.all_tasks() <= tasks)
    assert front.is_free_of(connection)
    other = await front.connect()
    assert (await other.ask(post(AGENT, TOKEN, NEW_SESSION))).status == 200


async def test_a_client_that_leaves_in_the_middle_is_logged_without_a_status(open_gateway, monkeypatch):
    lines = []

    class Log:
        def info(self, event, **line):
            lines.append(line)

    monkeypatch.setattr("bff.edge.record._log", Log())
    front = await open_gateway()
    wire = await front.connect()
    wire.write(UNFINISHED["length"])
    await until(lambda: front.usual)
    wire.abort()
    await nothing_is_left(front)
    (line,) = lines
    assert (line["method"], line["status"]) == ("POST", 0)


# Expect: 100-continue (RFC 9110, 10.1.1)

EXPECTING = get(AGENT, TOKEN, "Expect: 100-continue", f"Content-Length: {len(NEW_SESSION)}", method="POST")


async def test_who_asks_first_is_told_to_go_on(open_gateway):
    wire = await (await open_gateway()).connect()
    for _ in range(2):
        wire.write(EXPECTING)
        assert (await wire.read(bodiless=True)).status == 100
        assert (await wire.ask(NEW_SESSION)).json["status"] == "active"


@pytest.mark.parametrize(
    ("token", "length", "status"), [(TOKEN, 10_000, 413), ("nobody", 10, 401), (None, 10, 401)]
)
async def test_who_would_be_refused_anyway_is_not(open_gateway, token, length, status):
    wire = await (await open_gateway(server={"max_body_bytes": LIMIT})).connect()
    wire.write(get(AGENT, token, "Expect: 100-continue", f"Content-Length: {length}", method="POST"))
    assert (await wire.read()).status == status


# How large a body may be

TOO_LARGE = f"Request body must be at most {LIMIT} bytes"
HEARD_OUT = 4 * LIMIT  # so that who sends a little too much sees why


async def test_what_would_be_far_too_large_is_refused_before_it_comes(open_gateway):
    front = await open_gateway(server={"max_body_bytes": LIMIT})
    wire = await front.connect()
    wire.write(get(AGENT, TOKEN, f"Content-Length: {HEARD_OUT + 1}", method="POST"))
    await closed_with(wire, 413, TOO_LARGE)
    await nothing_is_left(front)


@pytest.mark.parametrize("size", [1, 100, HEARD_OUT + 1])
async def test_chunks_that_become_far_too_large_are_refused_at_once(open_gateway, size):
    front = await open_gateway(server={"max_body_bytes": LIMIT})
    wire = await front.connect()
    wire.write(CHUNKED + chunk(b" " * size) * (HEARD_OUT // size + 1))
    await closed_with(wire, 413, TOO_LARGE)
    await nothing_is_left(front)


@pytest.mark.parametrize("size", [LIMIT + 1, HEARD_OUT])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_what_is_a_little_too_large_is_refused_at_its_end(open_gateway, chunked, size):
    front = await open_gateway(server={"max_body_bytes": LIMIT})
    wire = await front.connect()
    full = b" " * size
    wire.write(CHUNKED + chunk(full) + b"0\r\n\r\n" if chunked else post(AGENT, TOKEN, full))
    await closed_with(wire, 413, TOO_LARGE)
    await nothing_is_left(front)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_it_is_not_waited_for_longer_than_for_another(impatient, open_gateway, chunked):
    front = await open_gateway(server={"max_body_bytes": LIMIT})
    wire = await front.connect()
    head = CHUNKED if chunked else get(AGENT, TOKEN, f"Content-Length: {LIMIT + 2}", method="POST")
    full = b" " * (LIMIT + 1)
    wire.write(head + (chunk(full) if chunked else full))
    await closed_with(wire, 408, "Request timeout")
    await nothing_is_left(front)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
async def test_as_much_as_allowed_is_taken(open_gateway, chunked):
    wire = await (await open_gateway(server={"max_body_bytes": LIMIT})).connect()
    full = NEW_SESSION + b" " * (LIMIT - len(NEW_SESSION))
    ask = CHUNKED + chunk(full) + b"0\r\n\r\n" if chunked else post(AGENT, TOKEN, full)
    assert (await wire.ask(ask)).status == 200
    assert (await wire.ask(ask)).status == 200


# One after the other

NAMES = ("anthropic", "openai", "openrouter", "google", "telegram", "discord", "whatsapp")


async def test_bodies_in_one_write_are_answered_in_order(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    asks = [post(AGENT, TOKEN, credential(name)) + get(STATS, TOKEN) for name in NAMES * 3]
    wire.write(b"".join(asks))
    for name in NAMES * 3:
        assert (await wire.read()).json == {"success": True, "key": name, "configured": True}
        assert "agents" in (await wire.read()).json
    assert front.state.total_requests == 2 * len(asks)


async def test_on_one_connection_each_writes_their_own(open_gateway):
    wire = await (await open_gateway()).connect()
    tokens = [person.session_token for person in PEOPLE[:5]]
    asks = zip(tokens, NAMES, strict=False)
    wire.write(b"".join(post(AGENT, token, credential(name)) for token, name in asks))
    for _ in tokens:
        assert (await wire.read()).status == 200
    for index, token in enumerate(tokens):
        told = (await wire.ask(get(f"{AGENT}?action=credentials", token))).json["credentials"]
        assert [name for name, configured in told.items() if configured] == [NAMES[index]]


async def test_a_refused_body_is_not_taken_for_the_next_request(open_gateway):
    wire = await (await open_gateway()).connect()
    hidden = get(STATS, TOKEN)
    wire.write(post(AGENT, "nobody", hidden) + post("/api/agents", TOKEN, hidden) + get("/nowhere", TOKEN))
    assert [(await wire.read()).status for _ in range(3)] == [401, 410, 404]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding : chunked",),
        ("Content-Length: +5",),
        ("Content-Length: -1",),
        ("Content-Length: 5, 5",),
        ("Content-Length: 0x5",),
        ("Content-Length: 99999999999999999999",),
    ],
    ids=", ".join,
)
async def test_a_body_whose_end_is_doubtful_is_refused(open_gateway, lines):
    front = await open_gateway()
    wire = await front.connect()
    wire.write(get(AGENT, TOKEN, *lines, method="POST") + b"0\r\n\r\n" + get(STATS, TOKEN))
    response = await wire.read()
    assert response.status == 400
    assert await wire.rest() == b""


# The short way is for what changes nothing


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
async def test_no_action_takes_the_short_way(open_gateway, action):
    front = await open_gateway()
    asked = []
    at_once = front.at_once
    front.at_once = lambda request: asked.append(request) or at_once(request)
    wire = await front.connect()
    path = action.path.format(agent_id="agent_ada_beacon", instance_id="agent_ada_beacon")
    for times in (1, 2):
        await wire.ask(post(path, TOKEN, b"{}", method=action.method))
        assert (front.usual, asked) == (times, [])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_no_method_but_get_takes_it_where_an_answer_is_kept(open_gateway, method):
    front = await open_gateway()
    wire = await front.connect()
    for _ in range(2):
        assert (await wire.ask(get(STATS, TOKEN))).status == 200
    assert front.usual == 1
    assert (await wire.ask(post(STATS, TOKEN, b"{}", method=method))).status == 405
    override = get(STATS, TOKEN, "X-HTTP-Method-Override: POST")
    assert (await wire.ask(override)).status == 200
    assert front.usual == 2

"""Whoever shares a connection, each gets what is theirs, and nobody keeps what was taken away."""

import itertools
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest

from bff.auth import identities
from demo.people import ADA, ADMIN
from tests.edge_sockets.wire import get

BOOTSTRAP = "/api/dashboard/bootstrap"
SUMMARY = "/api/admin/summary"
BOB = "demo-session-bob"
CAROL = "demo-session-carol"


@pytest.fixture
def pass_time(monkeypatch):
    """Return what lets so many seconds pass for identities, at once."""
    passed = 0.0

    def advance(seconds):
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(identities, "monotonic", lambda: time.monotonic() + passed)
    monkeypatch.setattr(identities, "utc_now", lambda: datetime.now(UTC) + timedelta(seconds=passed))
    return advance


async def bodies(wire, requests):
    """Return the body of each request's answer, made before it is asked for again."""
    return [(await wire.ask(request)).body for request in requests]


async def test_on_one_connection_each_gets_their_own(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    asks = [get(BOOTSTRAP, ADA.session_token), get(BOOTSTRAP, BOB)]
    asks.append(get(BOOTSTRAP, None, f"Authorization: Bearer {CAROL}"))
    own = await bodies(wire, asks)
    assert len(set(own)) == len(asks)
    unauthorized = await wire.ask(get(BOOTSTRAP))
    assert unauthorized.status == 401
    asks.append(get(BOOTSTRAP))
    own.append(unauthorized.body)
    usual = front.usual
    turns = list(zip(asks, own, strict=True))
    for request, body in itertools.islice(itertools.cycle(turns), 200):
        assert (await wire.ask(request)).body == body
    assert front.usual == usual + 50


async def test_in_one_write_each_gets_their_own(open_gateway):
    wire = await (await open_gateway()).connect()
    asks = [get(BOOTSTRAP, token) for token in (ADA.session_token, BOB, CAROL)]
    own = await bodies(wire, asks)
    wire.write(b"".join(asks * 30))
    assert [(await wire.read()).body for _ in range(90)] == own * 30


async def test_a_cookie_goes_before_a_bearer_token(open_gateway):
    wire = await (await open_gateway()).connect()
    ada, bob = await bodies(wire, [get(BOOTSTRAP, ADA.session_token), get(BOOTSTRAP, BOB)])
    both = get(BOOTSTRAP, BOB, f"Authorization: Bearer {ADA.session_token}")
    assert await bodies(wire, [both, both]) == [bob, bob]
    other = get(BOOTSTRAP, ADA.session_token, f"Authorization: Bearer {BOB}")
    assert await bodies(wire, [other, other]) == [ada, ada]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM Session", "UPDATE Session SET expires = '2020-01-01 00:00:00.000000'"]
)
async def test_a_session_that_ended_stops_after_the_identity_ttl(open_gateway, store_file, pass_time, sql):
    front = await open_gateway(auth={"identity_ttl": 10})
    wire = await front.connect()
    ask = get(BOOTSTRAP, ADA.session_token)
    assert [(await wire.ask(ask)).status for _ in range(2)] == [200, 200]
    with sqlite3.connect(store_file) as database:
        database.execute(sql)
    database.close()
    pass_time(9)
    assert (await wire.ask(ask)).status == 200
    assert front.usual == 1
    pass_time(1.1)
    assert [(await wire.ask(ask)).status for _ in range(3)] == [401] * 3


async def test_a_session_that_expires_stops_at_once(open_gateway, store_file, pass_time):
    wire = await (await open_gateway(auth={"identity_ttl": 3600})).connect()
    ask = get(BOOTSTRAP, ADA.session_token)
    expires = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=600)
    with sqlite3.connect(store_file) as database:
        database.execute("UPDATE Session SET expires = ?", [expires.isoformat(" ", "microseconds")])
    database.close()
    assert [(await wire.ask(ask)).status for _ in range(2)] == [200, 200]
    pass_time(590)
    assert (await wire.ask(ask)).status == 200
    pass_time(11)
    assert [(await wire.ask(ask)).status for _ in range(2)] == [401, 401]


async def test_without_an_identity_ttl_every_request_asks(open_gateway):
    front = await open_gateway(auth={"identity_ttl": 0})
    wire = await front.connect()
    assert [(await wire.ask(get(BOOTSTRAP, BOB))).status for _ in range(3)] == [200] * 3
    assert front.usual == 3


async def test_the_kept_summary_is_for_admins_alone(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    ada = get(SUMMARY, ADA.session_token)
    await wire.ask(get(BOOTSTRAP, ADA.session_token))
    for _ in range(2):
        assert (await wire.ask(get(SUMMARY, ADMIN.session_token))).status == 200
        refused = [await wire.ask(each) for each in (ada, get(SUMMARY), get(SUMMARY, "nobody"))]
        assert [(each.status, each.body) for each in refused] == [(403, b'{"error":"Unauthorized"}')] * 3
    wire.write(get(SUMMARY, ADMIN.session_token) + ada + get(SUMMARY, ADMIN.session_token) + ada)
    assert [(await wire.read()).status for _ in range(4)] == [200, 403, 200, 403]

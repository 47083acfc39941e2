"""The short way answers exactly what the usual way does, and only what may take it."""

import pytest

from bff.edge import protocol
from bff.endpoints import PLANS
from bff.plans import NOT_KEPT, Access
from demo.people import ADA, ADMIN
from tests.edge_sockets.wire import SERVER_LINE, get

BY_USUAL_WAY = "Cache-Control: max-age=0"
STATS = "/api/dashboard/stats"
COST = "/api/dashboard/cost"
DATA = "/api/dashboard/data"
TOKEN = ADA.session_token
ORIGINS = {"allowed_origins": ["https://app.example.com"]}

WHO = {Access.ANYONE: None, Access.SESSION: TOKEN, Access.ADMIN: ADMIN.session_token}
KEPT = [plan for plan in PLANS if plan.keep != NOT_KEPT and plan.access in WHO]
NEVER_KEPT = [plan for plan in PLANS if plan.keep == NOT_KEPT and plan.access in WHO and not plan.subject]


def lasting(response):
    """Return the response without what tells of this very moment."""
    headers = dict(response.headers)
    auth, _, fan_out = headers.pop("server-timing").partition(", ")
    assert auth.startswith("auth;dur=")
    state, _, ttl = headers.pop("cache-status").partition("; ttl=")
    body = response.json
    if isinstance(body, dict) and "responseTime" in body.get("meta", {}):
        del body["meta"]["responseTime"]
        assert int(headers.pop("content-length")) == len(response.body)
        return headers, fan_out, state, ttl.isdigit(), body
    return headers, fan_out, state, ttl.isdigit(), response.body


@pytest.mark.parametrize("auth", [{}, ORIGINS], ids=["same origin", "origins"])
@pytest.mark.parametrize("plan", KEPT, ids=lambda plan: plan.name)
async def test_both_ways_give_the_same_response(open_gateway, plan, auth):
    front = await open_gateway(auth=auth)
    wire = await front.connect()
    token = WHO[plan.access]
    first = await wire.ask(get(plan.path, token))
    assert first.status == 200
    assert first.headers["cache-status"] == "bff; fwd=miss; stored"
    short = await wire.ask(get(plan.path, token, "X-Request-ID: one"))
    assert front.usual == 1
    usual = await wire.ask(get(plan.path, token, "X-Request-ID: one", BY_USUAL_WAY))
    assert front.usual == 2
    assert short.status == usual.status == 200
    assert lasting(short) == lasting(usual)
    assert short.headers["cache-status"].startswith("bff; hit; ttl=")
    assert short.headers["x-request-id"] == "one"
    assert short.headers[SERVER_LINE[0].decode()] == SERVER_LINE[1].decode()
    assert ("vary" in short.headers) == bool(auth)
    again = await wire.ask(get(plan.path, token, "X-Request-ID: one"))
    assert lasting(again) == lasting(usual)


@pytest.mark.parametrize("plan", NEVER_KEPT, ids=lambda plan: plan.name)
async def test_what_is_not_kept_takes_the_usual_way_each_time(open_gateway, plan):
    front = await open_gateway()
    wire = await front.connect()
    path = f"{plan.path}?action={plan.action}" if plan.action else plan.path
    for times in (1, 2):
        response = await wire.ask(get(path, TOKEN))
        if response.status == 200:
            assert response.headers["cache-status"] == "bff; fwd=miss"
        assert front.usual == times


async def test_a_copy_says_that_it_is_one(open_gateway):
    wire = await (await open_gateway()).connect()
    made, copy = [(await wire.ask(get(DATA, TOKEN))).json["meta"] for _ in range(2)]
    assert (made["cached"], copy["cached"]) == (False, True)


@pytest.mark.parametrize(
    "query",
    [
        *(
            "?period=7d",
            "?period=30d",
            "?period=30d&period=7d",
            "?period=%33%30d",
            "?period=30d#7d",
            "#?period=30d",
        ),
        *("?", "?period=", "?period", "?period=30d+", "?%70eriod=30d", "?x=1;period=30d", "??period=30d"),
        *("?x=%e9&period=30d", f"?period=30d&x={'x' * 2020}", f"?period=30d&x={'x' * 2050}"),
    ],
    ids=lambda query: query[:30],
)
async def test_both_ways_read_a_query_alike(open_gateway, query):
    wire = await (await open_gateway()).connect()
    for period in ("7d", "30d", "90d"):
        assert (await wire.ask(get(f"{COST}?period={period}", TOKEN))).status == 200
    usual = await wire.ask(get(COST + query, TOKEN, BY_USUAL_WAY))
    assert (await wire.ask(get(COST + query, TOKEN))).body == usual.body


async def hit(front, wire, path=STATS, token=TOKEN):
    """Have a kept answer, and see that it is given by the short way."""
    await wire.ask(get(path, token))
    usual = front.usual
    assert (await wire.ask(get(path, token))).status == 200
    assert front.usual == usual


@pytest.mark.parametrize(
    ("request_", "status", "cache_status"),
    [
        (get(STATS, TOKEN, 'If-None-Match: "another"'), 200, "bff; hit; ttl="),
        (get(STATS, TOKEN, "If-None-Match: *"), 304, "bff; hit; ttl="),
        (get(STATS, TOKEN, "cache-control: no-cache"), 200, "bff; fwd=bypass"),
        (get(STATS, TOKEN, "CACHE-CONTROL: max-age=0"), 200, "bff; hit; ttl="),
        (get(STATS, TOKEN, "Origin: https://app.example.com"), 200, "bff; hit; ttl="),
        (get(STATS, TOKEN, method="POST"), 405, None),
        (get(STATS, TOKEN, "Content-Length: 0", method="DELETE"), 405, None),
        (get("/api/dashboard/stat", TOKEN), 404, None),
        (get(STATS + "/", TOKEN), 404, None),
        (get("/api//dashboard/stats", TOKEN), 404, None),
        (get("/API/dashboard/stats", TOKEN), 404, None),
        (get("/api/dashboard/%73tats", TOKEN), 200, "bff; hit; ttl="),
        (get("http://bff" + STATS, TOKEN), 200, "bff; hit; ttl="),
        (get(STATS, f"{TOKEN}; large={'x' * 33 * 1024}"), 431, None),
        (get(STATS, "demo-session-nobody"), 401, None),
        (get(STATS, "demo-session-expired"), 401, None),
        (get(STATS, "demo-session-orphan"), 404, None),
        (get(STATS, ""), 401, None),
        (get(STATS), 401, None),
        (get(STATS, None, "Authorization: Basic demo-session-ada"), 401, None),
        (get(STATS, TOKEN, "Upgrade: h2c", "Connection: upgrade"), 200, "bff; hit; ttl="),
    ],
    ids=lambda value: value[:90].decode("latin-1") if isinstance(value, bytes) else str(value),
)
async def test_whatever_is_unusual_takes_the_usual_way(open_gateway, request_, status, cache_status):
    front = await open_gateway(auth=ORIGINS)
    wire = await front.connect()
    await hit(front, wire)
    usual = front.usual
    response = await wire.ask(request_)
    assert front.usual == usual + 1
    assert response.status == status
    if cache_status is None:
        assert "cache-status" not in response.headers
    else:
        assert response.headers["cache-status"].startswith(cache_status)


async def test_head_takes_the_usual_way(open_gateway):
    front = await open_gateway()
    wire = await front.connect()
    await hit(front, wire)
    usual = front.usual
    response = await wire.ask(get(STATS, TOKEN, method="HEAD"))
    assert (response.body, front.usual) == (b"", usual + 1)
    await hit(front, wire)


@pytest.mark.parametrize("request_", [get(STATS, TOKEN, "Connection: close"), get(STATS, TOKEN, version="1.0")])
async def test_who_wants_the_connection_closed_gets_it_closed(open_gateway, request_):
    front = await open_gateway()
    wire = await front.connect()
    await hit(front, wire)
    usual = front.usual
    response = await wire.ask(request_)
    assert (response.status, response.headers["connection"]) == (200, "close")
    assert (await wire.rest(), front.usual) == (b"", usual + 1)


async def test_a_stale_copy_takes_the_usual_way_which_refreshes_it(open_gateway):
    front = await open_gateway(keep={"dashboard.stats": {"fresh": 0}})
    wire = await front.connect()
    states = [(await wire.ask(get(STATS, TOKEN))).headers["cache-status"] for _ in range(2)]
    assert states == ["bff; fwd=miss; stored", "bff; hit; ttl=0; detail=stale"]
    assert front.usual == 2


async def test_a_degraded_copy_says_what_it_had_to_do_without(open_gateway):
    front = await open_gateway(upstreams={"metrics": {"url": None}})
    wire = await front.connect()
    first, short = [await wire.ask(get(COST, TOKEN)) for _ in range(2)]
    assert first.headers["bff-degraded"] == short.headers["bff-degraded"] == "metrics;reason=disabled"
    assert front.usual == 1


async def test_when_the_short_way_fails_the_usual_one_answers(open_gateway, monkeypatch):
    logged = []

    class Log:
        def exception(self, event):
            logged.append(event)

    monkeypatch.setattr(protocol, "_log", Log())
    front = await open_gateway()
    front.at_once = lambda request: 1 / 0
    wire = await front.connect()
    assert (await wire.ask(get(STATS, TOKEN))).status == 200
    assert (logged, front.usual) == (["short way failed"], 1)


@pytest.mark.parametrize(("path", "token"), [(STATS, TOKEN), ("/api/dashboard/health", None)])
async def test_a_short_answer_is_logged_like_any_other(open_gateway, monkeypatch, path, token):
    lines = []

    class Log:
        def info(self, event, **line):
            lines.append((event, line))

    monkeypatch.setattr("bff.edge.record._log", Log())
    wire = await (await open_gateway()).connect()
    for request in (get(path, token), get(path, token), get(path, token, BY_USUAL_WAY)):
        response = await wire.ask(request)
        assert lines[-1][1]["request_id"] == response.headers["x-request-id"]
    (event, short), (_, usual) = lines[1:]
    assert event == "request"
    assert set(short) == {"operation", "method", "status", "ms", "request_id", "user", "cache"}
    assert all(0 <= line.pop("ms") < 1000 and line.pop("request_id") for line in (short, usual))
    assert short == usual
    assert (short["method"], short["status"], short["cache"]) == ("GET", 200, "hit")
    assert token is None or (token not in str(short) and ADA.id not in str(short))

"""Beyond the limit: who is still served, what the others are told, and what is never refused."""

import asyncio

import pytest

from bff.auth.credentials import CredentialReader
from bff.cache.answers import Answers
from bff.cache.store import Store
from bff.edge import record as record_module
from bff.edge import shedding as shedding_module
from bff.edge.edge import Edge
from bff.edge.exchange import Answer
from bff.edge.plan_endpoint import PlanEndpoint
from bff.edge.shedding import QUEUE_SECONDS, Shedding
from bff.metrics import Metrics
from bff.overload import CEILING, AdaptiveLimit
from bff.plans import Access, Refused, Subject, required
from bff.plans.shared import Sources
from tests.bff.asking import Note, caller, plan
from tests.bff.edge.asgi import at_once, request
from tests.virtual_time import settle

ADA, EVE = {"Cookie": "session=ada"}, {"Cookie": "session=eve"}
ANEW = {**ADA, "Cache-Control": "no-cache"}
SERVICE_UNAVAILABLE = {"error": "Service unavailable"}
STALE_TTL = "bff; hit; ttl={}; detail=stale"
SATURATED = "bff;reason=saturated"


class Door:
    """Knows Ada."""

    def known(self, headers):
        return caller("ada") if headers.get(b"cookie") == b"session=ada" else None

    async def admit(self, headers, *, reads, expires):
        if (who := self.known(headers)) is None:
            raise Refused(401, "Unauthorized")
        return who


class App:
    """What else there is; keeps which paths it was asked for."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        self.asked.append(scope["path"])
        await Answer(200, b"{}")(scope, receive, send)


class World:
    """A gateway that makes notes and keeps them, and what it has logged."""

    def __init__(self, clock, monkeypatch, **fields):
        self._clock = clock
        self.made = 0
        self.queue = 0.0  # for how long the first in the one for the store has been waiting
        self.limit, self.metrics, self.others = AdaptiveLimit(), Metrics(), App()
        said = required("store", self._make)
        note = plan(said, merge=lambda _, got: Note(some_text=str(got[said])), **fields)
        kept = {note.path: PlanEndpoint(note, Door(), Answers(Sources(None), Store(1_000_000), self.limit))}
        shedding = Shedding(self.limit, lambda: self.queue, kept, [note], self.metrics)
        reader = CredentialReader(["session"], [])
        self.edge = Edge(self.others, kept, kept, reader, (), shedding=shedding, beyond=shedding)
        self.logged = []
        monkeypatch.setattr(shedding_module, "_log", self)
        monkeypatch.setattr(record_module, "_log", self)

    def warning(self, event, **fields):
        self.logged.append((event, fields))

    info = warning

    async def _make(self, clients, ask):
        self.made += 1
        return self.made

    def fill(self):
        """Leave no room for anybody."""
        while self.limit.enter() is not None:
            pass

    async def copy_of_age(self, seconds):
        """Have Ada's note kept, and so many seconds pass."""
        await request(self.edge, headers=ADA)
        await settle()
        self._clock.advance(seconds)

    async def get(self, way, **headers):
        if way == "the usual way":
            return await request(self.edge, headers=headers)
        return at_once(self.edge, "/note", headers)


@pytest.fixture
def world(clock, monkeypatch):
    return World(clock, monkeypatch)


WAYS = pytest.mark.parametrize("way", ["the short way", "the usual way"])


@WAYS
@pytest.mark.parametrize(
    ("age", "headers", "cache_status", "degraded"),
    [
        pytest.param(3, ADA, "bff; hit; ttl=7", None, id="fresh"),
        pytest.param(15, ADA, STALE_TTL.format(-5), None, id="stale"),
        pytest.param(40, ADA, STALE_TTL.format(-30), SATURATED, id="good enough on error"),
        pytest.param(3, ANEW, STALE_TTL.format(7), SATURATED, id="fresh, though another was wanted"),
        pytest.param(15, ANEW, STALE_TTL.format(-5), SATURATED, id="stale, though another was wanted"),
    ],
)
async def test_a_known_caller_gets_the_copy_that_is_kept(world, way, age, headers, cache_status, degraded):
    await world.copy_of_age(age)
    world.fill()
    response = await world.get(way, **headers)
    assert (response.status, response.json) == (200, {"someText": "1"})
    assert response.headers["cache-status"] == cache_status
    assert response.headers.get("bff-degraded") == degraded
    assert response.headers["etag"]
    await settle()
    assert world.made == 1
    assert world.metrics.shed._value.get() == 0
    assert world.logged[-1][1]["status"] == 200


@WAYS
@pytest.mark.parametrize(
    ("age", "headers"),
    [
        pytest.param(None, ADA, id="nothing is kept"),
        pytest.param(61, ADA, id="it is too old"),
        pytest.param(61, ANEW, id="it is too old, and another was wanted"),
        pytest.param(3, EVE, id="it is another's"),
        pytest.param(3, {}, id="it is somebody's"),
    ],
)
async def test_everyone_else_is_refused(world, way, age, headers):
    if age is not None:
        await world.copy_of_age(age)
    world.fill()
    lines = len(world.logged)
    made = world.made
    response = await world.get(way, **headers, **{"X-Request-ID": "abc"})
    assert (response.status, response.json) == (503, SERVICE_UNAVAILABLE)
    assert response.headers == {
        "content-type": "application/json",
        "content-length": str(len(response.body)),
        "cache-control": "private, no-store",
        "retry-after": "2",
        "x-request-id": "abc",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
    }
    await settle()
    assert world.made == made
    assert world.metrics.shed._value.get() == 1
    assert [event for event, _ in world.logged[lines:]] == ["overloaded: refusing requests"]


@WAYS
async def test_who_has_the_copy_is_told_so(world, way):
    await world.copy_of_age(40)
    etag = (await request(world.edge, headers=ADA)).headers["etag"]
    await world.copy_of_age(15)
    world.fill()
    response = await world.get(way, **ADA, **{"If-None-Match": etag})
    assert (response.status, response.body) == (304, b"")
    assert "content-length" not in response.headers


@WAYS
async def test_as_long_as_there_is_room_nothing_is_different(world, way):
    response = await world.get(way, **ADA)
    assert response is None or response.headers["cache-status"] == "bff; fwd=miss; stored"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_write_is_refused_before_anything_is_done(world, method):
    await world.copy_of_age(3)
    world.fill()
    response = await request(world.edge, method=method, headers=ADA)
    assert (response.status, response.json) == (503, SERVICE_UNAVAILABLE)
    assert world.others.asked == []


async def test_a_secure_refusal_asks_to_stay_secure(world):
    world.fill()
    hsts = "max-age=63072000"
    assert at_once(world.edge, "/note", {}, secure=True).headers["strict-transport-security"] == hsts
    assert (await request(world.edge, scheme="https")).headers["strict-transport-security"] == hsts


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_whether_the_process_is_well_is_always_told(world, path):
    world.fill()
    assert at_once(world.edge, path, {}) is None
    assert (await request(world.edge, path)).status == 200
    assert world.others.asked == [path]


async def test_a_stale_copy_is_refreshed_only_where_there_is_room(world):
    await world.copy_of_age(15)
    places = [world.limit.enter() for _ in range(CEILING - 1)]  # room for the request alone
    assert (await request(world.edge, headers=ADA)).headers["cache-status"] == STALE_TTL.format(-5)
    await settle()
    assert world.made == 1
    world.limit.leave(places[0])
    await request(world.edge, headers=ADA)
    await settle()
    assert world.made == 2
    assert world.limit.in_flight == CEILING - 2


async def test_whatever_becomes_of_a_request_its_place_is_given_back(world):
    async def broken(scope, receive, send):
        raise KeyError

    world.edge._app = broken
    for path, headers in [("/note", ADA), ("/note", EVE), ("/other", {}), ("/other", {"Cookie": "a" * 40_000})]:
        await request(world.edge, path, headers=headers)
    assert world.limit.in_flight == 0


async def test_when_it_begins_and_when_it_is_over_is_told_once(world):
    world.fill()
    for _ in range(5):
        at_once(world.edge, "/note", {})
    assert [event for event, _ in world.logged] == ["overloaded: refusing requests"]
    await asyncio.sleep(1.5)
    at_once(world.edge, "/note", {})
    await asyncio.sleep(5)
    assert world.logged[1:] == [("no longer overloaded", {"refused": 6})]
    at_once(world.edge, "/note", {})
    assert [event for event, _ in world.logged[2:]] == ["overloaded: refusing requests"]


class TestQueueForTheStore:
    """The user store has no place for more, and so many wait for one that the first does for long."""

    NEEDING = (
        pytest.param({}, id="for who is asking"),
        pytest.param(
            {"access": Access.CODEX, "subject": Subject(None, refusal=(404, ""))}, id="for what is asked"
        ),
    )

    @pytest.mark.parametrize("fields", NEEDING)
    async def test_who_needs_it_is_refused(self, clock, monkeypatch, fields):
        world = World(clock, monkeypatch, **fields)
        world.queue = QUEUE_SECONDS
        for way in ("the short way", "the usual way"):
            assert (await world.get(way, **ADA)).status == 503
        assert (await request(world.edge, "/other", "POST")).status == 503
        assert (world.made, world.others.asked, world.limit.in_flight) == (0, [], 0)

    @WAYS
    async def test_a_copy_is_served_all_the_same(self, world, way):
        await world.copy_of_age(40)
        world.queue = QUEUE_SECONDS
        response = await world.get(way, **ADA)
        assert (response.status, response.headers["bff-degraded"]) == (200, SATURATED)

    async def test_who_does_not_need_it_does_not_notice(self, clock, monkeypatch):
        world = World(clock, monkeypatch, access=Access.CODEX)
        world.queue = 10 * QUEUE_SECONDS
        assert at_once(world.edge, "/note", ADA) is None
        assert (await request(world.edge, headers=ADA)).status == 200
        assert (await request(world.edge, "/readyz")).status == 200

    async def test_who_is_documented_to_do_without_does(self, clock, monkeypatch):
        world = World(clock, monkeypatch, fallback=Note(some_text="nothing"))
        world.queue = 10 * QUEUE_SECONDS
        assert (await request(world.edge, headers=ADA)).status == 200

    async def test_a_short_one_is_none(self, world):
        world.queue = QUEUE_SECONDS * 0.99
        assert (await request(world.edge, headers=ADA)).status == 200

"""Serving a plan: the status, the bytes, and what the response tells besides them."""

import pytest

from bff.cache.answers import Answers
from bff.cache.store import Store
from bff.edge.exchange import SCOPE_KEY, Exchange
from bff.edge.plan_endpoint import PlanEndpoint
from bff.plans import NOT_KEPT, Keep, Refused, Subject, optional, required
from bff.plans.shared import Sources
from contracts import Document
from tests.bff.asking import Note, caller, failure, plan
from tests.bff.edge.asgi import request
from tests.virtual_time import settle
from upstreams.failure import Reason


class Part:
    """One part of the test's world: says ``value``, or raises its ``trouble``."""

    def __init__(self, value):
        self.value = value
        self.trouble = None
        self.asked = 0

    async def fetch(self, clients, ask):
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return self.value

    async def admit(self, headers, *, reads, expires):
        return await self.fetch(None, None)


class World:
    """One operation, who asks for it, the sources it needs, and the exchange of the last request."""

    def __init__(self, clock, **fields):
        self._clock = clock
        self.authenticator, self.store, self.gateway = Part(caller("ada")), Part("text"), Part("up")
        main = required("store", self.store.fetch)
        side = optional("gateway", self.gateway.fetch, otherwise="", stands_in="nothing")
        made = plan(
            main,
            side,
            keep=fields.pop("keep", Keep(10, 20, 60)),
            merge=fields.pop("merge", lambda ask, got: Note(some_text=got[main])),
            **fields,
        )
        self._endpoint = PlanEndpoint(made, self.authenticator, Answers(Sources(None), Store(1_000_000)))

    async def _app(self, scope, receive, send):
        self.exchange = scope[SCOPE_KEY] = Exchange.of(scope["headers"])
        self.exchange.started = self._clock.now
        await self._endpoint(scope, receive, send)

    async def get(self, **headers):
        return await request(self._app, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def after(self, seconds):
        """Let the time pass, with what the last request left behind done."""
        await settle()
        self._clock.advance(seconds)


@pytest.fixture
def world(clock):
    return World(clock)


async def test_a_success(world):
    response = await world.get()
    assert (response.status, response.json) == (200, {"someText": "text"})
    etag = response.headers["etag"]
    assert response.headers == {
        "content-length": "19",
        "content-type": "application/json",
        "cache-control": "private, no-cache",
        "cache-status": "bff; fwd=miss; stored",
        "server-timing": "auth;dur=0.0, store;dur=0.0, gateway;dur=0.0, total;dur=0.0",
        "etag": etag,
    }
    assert (world.exchange.operation, world.exchange.user, world.exchange.cache) == ("test.note", "log-id", "miss")


async def test_cache_status(world):
    async def cache_status(**headers):
        return (await world.get(**headers)).headers["cache-status"]

    assert await cache_status() == "bff; fwd=miss; stored"
    assert await cache_status() == "bff; hit; ttl=10"
    await world.after(3)
    assert await cache_status() == "bff; hit; ttl=7"
    assert await cache_status(cache_control="no-cache") == "bff; fwd=bypass"
    await world.after(18)
    world.store.trouble = failure("store")
    assert await cache_status() == "bff; hit; ttl=-8; detail=stale"
    await world.after(20)
    assert await cache_status() == "bff; hit; ttl=-28; detail=stale"


async def test_an_answer_that_the_caller_has_is_not_sent_again(world):
    etag = (await world.get()).headers["etag"]
    response = await world.get(if_none_match=f"W/{etag}")
    assert (response.status, response.body) == (304, b"")
    assert "content-length" not in response.headers
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"] == "private, no-cache"
    assert (await world.get(if_none_match='"another"')).status == 200


async def test_a_secret_is_not_for_any_cache(clock):
    world = World(clock, secret=True)
    response = await world.get(if_none_match="*")
    assert response.status == 200
    assert response.headers["cache-control"] == "private, no-store"
    assert "etag" not in response.headers


async def test_a_plans_own_cache_control(clock):
    headers = (await World(clock, cache_control="max-age=30").get()).headers
    assert headers["cache-control"] == "max-age=30"


async def test_what_is_missing_is_told(world):
    world.gateway.trouble = failure("gateway", Reason.TIMEOUT)
    response = await world.get()
    assert response.json == {"someText": "text"}
    assert response.headers["bff-degraded"] == "gateway;reason=timeout"
    assert 'gateway;dur=0.0;desc="timeout"' in response.headers["server-timing"]
    assert world.exchange.degraded == "gateway;reason=timeout"


async def test_why_an_old_copy_had_to_do_is_told_first(world):
    world.gateway.trouble = failure("gateway", Reason.TIMEOUT)
    await world.get()
    await world.after(50)
    world.store.trouble = failure("store", Reason.BREAKER_OPEN)
    response = await world.get()
    assert (response.status, response.json) == (200, {"someText": "text"})
    assert response.headers["bff-degraded"] == "store;reason=breaker_open, gateway;reason=timeout"


async def test_a_refused_caller(world):
    world.authenticator.trouble = Refused(401, "Unauthorized")
    response = await world.get()
    assert (response.status, response.json) == (401, {"error": "Unauthorized"})
    assert response.headers["cache-control"] == "private, no-store"


async def test_a_refused_question(clock):
    def merge(ask, got):
        raise Refused(404, "User not found")

    response = await World(clock, merge=merge).get()
    assert (response.status, response.json) == (404, {"error": "User not found"})


async def test_a_caller_of_whom_nobody_can_tell(world):
    world.authenticator.trouble = failure("user_store", Reason.TIMEOUT)
    response = await world.get()
    assert (response.status, response.json) == (503, {"error": "Service unavailable"})
    assert response.headers["retry-after"] == "2"
    assert world.exchange.failure == "user_store: timeout"


async def test_without_a_required_source_it_is_the_documented_error(world):
    world.store.trouble = failure("store", Reason.STATUS, status=500)
    response = await world.get()
    assert (response.status, response.json) == (500, {"error": "Failed to make a note"})
    assert response.headers["cache-control"] == "private, no-store"
    assert world.exchange.failure == "store: status 500"


async def test_with_its_further_fields(clock):
    def fields(failed, milliseconds):
        return {"details": str(failed), "responseTime": milliseconds}

    world = World(clock, failed_fields=fields)
    world.store.trouble = failure("store")
    assert (await world.get()).json == {
        "error": "Failed to make a note",
        "details": "store: refused",
        "responseTime": 0,
    }


@pytest.mark.parametrize(("part", "named_after"), [("store", "store"), ("authenticator", "user_store")])
async def test_a_documented_body_stands_in_for_any_failure(clock, part, named_after):
    class Zeros(Document):
        all_of_it: int = 0

    world = World(clock, fallback=Zeros())
    getattr(world, part).trouble = failure("user_store")
    response = await world.get()
    assert (response.status, response.json) == (200, {"allOfIt": 0})
    assert response.headers["bff-degraded"] == f"{named_after};reason=refused"
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["cache-status"] == "bff; fwd=miss"
    assert "etag" not in response.headers


@pytest.mark.parametrize("trouble", [Refused(401, "Unauthorized"), Refused(403, "Unauthorized")], ids=str)
async def test_but_for_no_refusal(clock, trouble):
    world = World(clock, fallback=Note(some_text="zeros"))
    world.authenticator.trouble = trouble
    assert (await world.get()).status == trouble.status


async def test_the_stamp_describes_each_response(clock):
    world = World(clock, stamp=lambda body, milliseconds, cached: b"%d %s" % (milliseconds, str(cached).encode()))
    assert (await world.get()).body == b"0 False"
    assert (await world.get()).body == b"0 True"
    assert (await world.get(cache_control="no-cache")).body == b"0 False"
    world.store.trouble = failure("store")
    await world.after(15)
    assert (await world.get()).body == b"0 True"
    await world.after(20)
    assert (await world.get()).body == b"0 True"


async def test_parameters_are_read_by_the_plans_query(clock):
    class Query:
        @classmethod
        def parse(cls, parameters):
            return tuple(sorted(parameters.items()))

    world = World(clock, query=Query, merge=lambda ask, got: Note(some_text=repr(ask.query)))
    response = await request(world._app, query=b"b=2&a=1&a=3")
    assert response.json == {"someText": "(('a', '1'), ('b', '2'))"}


async def test_parameters_of_the_path_go_before_those_of_the_query(clock):
    class Query:
        @classmethod
        def parse(cls, parameters):
            return tuple(sorted(parameters.items()))

    world = World(clock, query=Query, merge=lambda ask, got: Note(some_text=repr(ask.query)))
    response = await request(world._app, query=b"id=other&b=2", path_params={"id": "own"})
    assert response.json == {"someText": "(('b', '2'), ('id', 'own'))"}


async def test_what_the_path_names_has_to_be_the_callers_before_any_source_is_asked(clock):
    asked = []

    async def find(clients, ask):
        asked.append("subject")
        return world.owned

    subject = Subject(find, refusal=(404, "Agent not found"))
    world = World(clock, subject=subject, keep=NOT_KEPT)
    world.owned = None
    response = await world.get()
    assert (response.status, response.json) == (404, {"error": "Agent not found"})
    assert world.store.asked == 0
    world.owned = "mine"
    assert (await world.get()).status == 200
    assert world.store.asked == 1


async def test_a_plan_that_is_not_kept(clock):
    world = World(clock, keep=NOT_KEPT)
    for text in ("one", "two"):
        world.store.value = text
        response = await world.get()
        assert (response.json, response.headers["cache-status"]) == ({"someText": text}, "bff; fwd=miss")


@pytest.mark.parametrize(
    ("trouble", "status", "error"),
    [
        (failure("store", Reason.TIMEOUT), 502, "Backend service unavailable"),
        (failure("store", Reason.STATUS, status=404, in_json=True), 404, "Agent not found"),
        (failure("store", Reason.STATUS, status=404), 502, "Backend service unavailable"),
        (failure("user_store", Reason.TIMEOUT), 502, "Backend service unavailable"),
    ],
    ids=str,
)
async def test_the_documented_error_of_each_failure(clock, trouble, status, error):
    failed_by = {"store": (502, "Backend service unavailable")}
    world = World(clock, failed_by=failed_by, missing="Agent not found")
    world.store.trouble = trouble
    response = await world.get()
    assert (response.status, response.json) == (status, {"error": error})


async def test_a_documents_own_shape_of_errors(clock):
    def shape(status, message, fields):
        return {"success": False, "code": status}

    world = World(clock, shape=shape)
    world.store.trouble = failure("store")
    assert (await world.get()).json == {"success": False, "code": 500}
    world.authenticator.trouble = Refused(403, "Unauthorized")
    assert (await world.get()).json == {"success": False, "code": 403}
    world.authenticator.trouble = failure("user_store")
    assert (await world.get()).json == {"success": False, "code": 503}


async def test_what_a_stranger_gets_instead_of_a_refusal(clock):
    world = World(clock, stranger=Note(some_text="nothing"))
    world.authenticator.trouble = Refused(401, "Unauthorized")
    response = await world.get()
    assert (response.status, response.json) == (200, {"someText": "nothing"})
    assert response.headers["cache-control"] == "private, no-store"

"""Serving actions: who may, with what, at most once, and what is told when it went wrong."""

import asyncio
import json

import pytest

from bff.cache.answers import Answers
from bff.cache.store import Store
from bff.edge.action_endpoint import ActionEndpoint, Tools
from bff.edge.exchange import SCOPE_KEY, Exchange
from bff.edge.quotas import Quotas
from bff.idempotency import Idempotency
from bff.plans import Access, Action, NoQuery, Quota, Refused, Subject
from bff.plans.shared import Sources
from bff.settings import Limits
from contracts import Body
from tests.bff.asking import Note, caller, failure
from tests.bff.edge.asgi import request
from upstreams.failure import Reason, UpstreamFailure


class NoteBody(Body):
    text: str


class World:
    """One action, who asks for it and what it was given; ``trouble`` is what performing it raises."""

    def __init__(self, *names, **fields):
        self.caller = caller("ada")
        self.orders = []
        self.trouble = None
        self.going = asyncio.Event()
        self.going.set()
        self.answers = Answers(Sources(None), Store(1_000_000))
        given = {
            "method": "POST",
            "path": "/note",
            "document": "000",
            "query": NoQuery,
            "body": NoteBody,
            "answer": Note,
            "access": Access.SESSION,
            "asks": ("backend",),
            "perform": self._perform,
            "failed": "Failed to write the note",
        }
        made = [Action(f"test.{name}", action=name, **{**given, **fields}) for name in names or (None,)]
        tools = Tools(None, self.answers, Quotas(Limits(chat_per_minute=2)), Idempotency(), max_body_bytes=1024)
        self._endpoint = ActionEndpoint(made, self, tools)

    async def admit(self, headers, *, reads, expires):
        assert reads is False
        if isinstance(self.caller, Exception):
            raise self.caller
        return self.caller

    async def _perform(self, clients, order):
        self.orders.append(order)
        await self.going.wait()
        if self.trouble:
            raise self.trouble
        return Note(some_text=order.body.text if order.body else "done")

    async def _app(self, scope, receive, send):
        self.exchange = scope[SCOPE_KEY] = Exchange.of(scope["headers"])
        await self._endpoint(scope, receive, send)

    async def post(self, body=b'{"text": "hello"}', **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await request(self._app, method="POST", headers=named, body=content)


async def test_a_success():
    world = World(status=201)
    response = await world.post()
    assert (response.status, response.json) == (201, {"someText": "hello"})
    assert response.headers["cache-control"] == "private, no-store"
    assert (world.exchange.operation, world.exchange.user) == ("test.None", "log-id")


async def test_what_has_no_body_reads_none():
    world = World(body=None)
    assert (await world.post(b"{bad")).json == {"someText": "done"}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{bad", 400, "Invalid JSON"),
        (b"[]", 400, "Request body must be a JSON object"),
        ({}, 400, "text is required"),
        ({"text": 1}, 400, "text must be a string"),
        (b"x" * 1025, 413, "Request body must be at most 1024 bytes"),
    ],
)
async def test_a_body_that_is_not_taken(body, status, error):
    world = World()
    response = await world.post(body)
    assert (response.status, response.json) == (status, {"error": error})
    assert world.orders == []


@pytest.mark.parametrize(
    ("who", "status", "error"),
    [
        (Refused(401, "Unauthorized"), 401, "Unauthorized"),
        (failure("user_store", Reason.TIMEOUT), 503, "Service unavailable"),
    ],
    ids=str,
)
async def test_a_caller_who_is_not_let_in_is_not_even_read(who, status, error):
    world = World()
    world.caller = who
    response = await world.post(b"{bad")
    assert (response.status, response.json) == (status, {"error": error})
    assert ("retry-after" in response.headers) is (status == 503)


@pytest.mark.parametrize(
    ("found", "status", "error"),
    [
        (None, 404, "Agent not found"),
        (failure("user_store", Reason.TIMEOUT), 500, "Failed to write the note"),
    ],
    ids=str,
)
async def test_what_the_path_names_has_to_be_the_callers_first(found, status, error):
    async def find(clients, ask):
        if isinstance(found, UpstreamFailure):
            raise found
        return found

    world = World(subject=Subject(find, refusal=(404, "Agent not found")))
    response = await world.post({"text": 1})
    assert (response.status, response.json) == (status, {"error": error})
    assert world.orders == []


@pytest.mark.parametrize(
    ("trouble", "status", "error", "told"),
    [
        (Refused(402, "Pay first"), 402, "Pay first", None),
        (failure("backend"), 502, "Backend down", "backend;reason=refused"),
        (failure("backend", Reason.STATUS, status=500, unsafe=True), 502, "Backend down", "backend;reason=status"),
        (
            failure("backend", Reason.TIMEOUT, unsafe=True),
            502,
            "Backend down: the outcome is unknown",
            "backend;reason=timeout;outcome=unknown",
        ),
        (failure("user_store", Reason.TIMEOUT), 500, "Failed to write the note", "user_store;reason=timeout"),
        (KeyError("a bug"), 500, "Internal server error", None),
    ],
    ids=str,
)
async def test_what_goes_wrong(trouble, status, error, told):
    world = World(failed_by={"backend": (502, "Backend down")})
    world.trouble = trouble
    response = await world.post()
    assert (response.status, response.json) == (status, {"error": error})
    assert response.headers.get("bff-degraded") == told
    assert len(world.orders) == 1


async def test_a_documents_own_shape_of_errors():
    world = World(shape=lambda status, message, fields: {"success": False})
    for world.trouble in (failure("backend"), KeyError("a bug"), Refused(404, "No")):
        assert (await world.post()).json == {"success": False}
    world.caller = Refused(403, "Unauthorized")
    assert (await world.post()).json == {"success": False}


async def test_whatever_came_of_it_what_it_may_have_changed_is_asked_anew():
    world = World(changes=("dashboard.data",))
    before = world.answers._generations.current("dashboard.data", ("ada",)).number
    world.trouble = failure("backend", Reason.TIMEOUT, unsafe=True)
    await world.post()
    after = world.answers._generations.current("dashboard.data", ("ada",)).number
    assert after != before
    assert world.answers._generations.current("dashboard.data", ("bob",)).number == before


async def test_no_more_often_than_its_quota():
    world = World(quota=Quota("chat_per_minute", by="user"))
    assert [(await world.post()).status for _ in range(3)] == [200, 200, 429]
    response = await world.post()
    assert response.json == {"error": "Too many requests"}
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.headers["ratelimit-policy"] == '"chat";q=2;w=60'
    world.caller = caller("bob")
    assert (await world.post()).status == 200


class TestSeveralActions:
    @pytest.mark.parametrize(
        ("query", "named", "performed"),
        [
            (b"", None, "chat"),
            (b"", "chat", "chat"),
            (b"", "sing", "sing"),
            (b"action=sing", None, "sing"),
            (b"action=chat", "sing", "sing"),
            (b"action=", None, "chat"),
        ],
    )
    async def test_the_body_chooses_then_the_query(self, query, named, performed):
        world = World("chat", "sing")
        body = {"text": "hello"} | ({"action": named} if named else {})
        response = await request(world._app, method="POST", query=query, body=json.dumps(body).encode())
        assert response.status == 200
        assert world.exchange.operation == f"test.{performed}"

    @pytest.mark.parametrize("named", ["dance", "", 1, [], {}])
    async def test_one_that_there_is_not(self, named):
        world = World("chat", "sing")
        response = await world.post({"text": "hello", "action": named})
        if named == "":
            assert response.status == 200
            return
        assert (response.status, response.json) == (400, {"error": "action must be one of chat, sing"})


class TestRepeats:
    async def test_a_repeat_gets_the_first_answer(self):
        world = World(once=True)
        first = await world.post(idempotency_key="k")
        again = await world.post(b'{ "text":"hello"}', idempotency_key="k")
        assert (first.body, len(world.orders)) == (again.body, 1)
        assert (await world.post()).status == 200
        assert (await world.post(idempotency_key="another")).status == 200
        assert len(world.orders) == 3

    async def test_two_at_once_are_one(self):
        world = World(once=True)
        world.going.clear()
        both = asyncio.gather(world.post(idempotency_key="k"), world.post(idempotency_key="k"))
        await asyncio.sleep(0)
        world.going.set()
        assert [response.status for response in await both] == [200, 200]
        assert len(world.orders) == 1

    async def test_with_another_body_it_is_no_repeat(self):
        world = World(once=True)
        await world.post(idempotency_key="k")
        response = await world.post({"text": "bye"}, idempotency_key="k")
        assert response.status == 422
        assert len(world.orders) == 1

    async def test_another_users_key_is_another_key(self):
        world = World(once=True)
        await world.post(idempotency_key="k")
        world.caller = caller("bob")
        assert (await world.post({"text": "bye"}, idempotency_key="k")).json == {"someText": "bye"}

    @pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
    async def test_a_key_that_is_none(self, key):
        assert (await World(once=True).post(idempotency_key=key)).status == 400

    @pytest.mark.parametrize(
        ("trouble", "tries"),
        [
            (Refused(402, "Pay first"), 2),
            (failure("user_store"), 2),
            (failure("gateway", Reason.STATUS, status=500, unsafe=True), 1),
            (failure("gateway", Reason.TIMEOUT, unsafe=True), 1),
        ],
        ids=str,
    )
    async def test_what_was_tried_is_not_tried_again(self, trouble, tries):
        world = World(once=True)
        world.trouble = trouble
        first = await world.post(idempotency_key="k")
        assert (await world.post(idempotency_key="k")).body == first.body
        assert len(world.orders) == tries

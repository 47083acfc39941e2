"""Whether the process lives and whether it is ready, and to whom it tells why not."""

import asyncio
from types import SimpleNamespace

import pytest

from bff.app import _application
from bff.ops import Health
from tests.bff.asking import failure
from tests.bff.edge.asgi import request
from upstreams.failure import Reason


class Store:
    def __init__(self):
        self.asked = 0
        self.trouble = None

    async def ping(self):
        self.asked += 1
        await asyncio.sleep(0.1)
        if self.trouble:
            raise self.trouble


class Process:
    def __init__(self):
        self.store = Store()
        self.health = Health(SimpleNamespace(user_store=self.store))
        self.public = _application(self.health.routes(detailed=False))
        self.ops = _application(self.health.routes(detailed=True))


@pytest.fixture
def process(clock):
    return Process()


async def test_ready_when_the_store_answers(process):
    for app in (process.public, process.ops):
        response = await request(app, "/readyz")
        assert (response.status, response.json) == (200, {"status": "ready"})
        assert response.headers["cache-control"] == "no-store"


async def test_not_ready_when_it_does_not_and_only_operations_learn_why(process):
    process.store.trouble = failure("user_store", Reason.TIMEOUT)
    public, ops = await request(process.public, "/readyz"), await request(process.ops, "/readyz")
    assert (public.status, public.json) == (503, {"status": "not ready"})
    assert (ops.status, ops.json) == (503, {"status": "not ready", "reason": "user_store: timeout"})
    assert public.headers["retry-after"] == "2"


async def test_not_ready_while_draining_whatever_the_store_says(process):
    process.health.draining = True
    response = await request(process.ops, "/readyz")
    assert (response.status, response.json) == (503, {"status": "not ready", "reason": "draining"})
    assert process.store.asked == 0


async def test_the_store_is_asked_once_a_second_at_most(process, clock):
    await asyncio.gather(*(request(process.public, "/readyz") for _ in range(20)))
    assert process.store.asked == 1
    process.store.trouble = failure("user_store")
    clock.advance(0.9)
    assert (await request(process.public, "/readyz")).status == 200
    clock.advance(0.1)
    assert (await request(process.public, "/readyz")).status == 503
    process.store.trouble = None
    clock.advance(1)
    assert (await request(process.public, "/readyz")).status == 200


async def test_alive_whatever_the_store_says(process):
    process.health.draining = True
    process.store.trouble = failure("user_store")
    response = await request(process.public, "/livez")
    assert (response.status, response.json) == (200, {"status": "live"})

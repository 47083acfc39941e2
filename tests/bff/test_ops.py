"""Whether the process lives and whether it is ready, and to whom it tells why not."""

import asyncio
from types import SimpleNamespace

import pytest

from bff.app import _application
from bff.metrics import Metrics
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
    def __init__(self, *needs):
        self.store = Store()
        self.redis_is_up = True
        self.metrics = Metrics()
        clients = SimpleNamespace(user_store=self.store)
        self.health = Health(clients, self.metrics, lambda: self.redis_is_up, needs)
        self.public = _application(self.health.routes(detailed=False))
        self.ops = _application(self.health.routes(detailed=True))


@pytest.fixture
def process(clock):
    return Process("user_store")


REFUSED = failure("user_store", Reason.REFUSED)


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


@pytest.mark.parametrize(
    ("needs", "store", "redis_is_up", "reason"),
    [
        ([], REFUSED, False, None),
        (["user_store"], None, False, None),
        (["user_store"], REFUSED, True, "user_store: refused"),
        (["redis"], REFUSED, True, None),
        (["redis"], None, False, "redis: down"),
        (["user_store", "redis"], None, True, None),
        (["user_store", "redis"], REFUSED, True, "user_store: refused"),
        (["user_store", "redis"], None, False, "redis: down"),
        (["user_store", "redis"], REFUSED, False, "user_store: refused, redis: down"),
    ],
    ids=str,
)
async def test_ready_when_what_it_needs_answers(clock, needs, store, redis_is_up, reason):
    process = Process(*needs)
    process.store.trouble, process.redis_is_up = store, redis_is_up
    public, ops = await request(process.public, "/readyz"), await request(process.ops, "/readyz")
    assert public.status == ops.status == (200 if reason is None else 503)
    assert public.json == {"status": "ready" if reason is None else "not ready"}
    assert ops.json.get("reason") == reason
    assert process.store.asked == ("user_store" in needs)


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


async def test_figures_on_the_operations_port_alone(process):
    process.metrics.connections.set(3)
    process.metrics.dropped_connections.labels("full").inc()
    ops, public = await request(process.ops, "/metrics"), await request(process.public, "/metrics")
    assert ops.status == 200
    assert ops.headers["content-type"].startswith("text/plain; version=")
    assert ops.headers["cache-control"] == "no-store"
    lines = ops.body.decode().splitlines()
    assert "bff_connections 3.0" in lines
    assert 'bff_dropped_connections_total{reason="full"} 1.0' in lines
    assert public.status == 404

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from bff.metrics import Metrics
from bff.redis import Redis, link, subscription
from tests.bff.redis.asking import Open
from tests.faults.proxy import Proxy, proxy
from tests.faults.rig import until
from tests.redis_servers import RedisServer


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Let time pass as it does: there are real servers behind the sockets."""
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Redis tried again sooner, and silence wondered about."""
    monkeypatch.setattr(link, "_AGAIN_AFTER", (0.05, 0.1))
    monkeypatch.setattr(subscription, "_SILENCE_SECONDS", 0.3)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no Redis for lost because this machine is busy."""
    monkeypatch.setattr(link, "COMMAND_SECONDS", 0.5)


@pytest.fixture
async def between(redis_url: str, redis_server: RedisServer) -> AsyncIterator[Proxy]:
    """Give a proxy before the Redis with nothing in it."""
    async with proxy(redis_server.port) as between:
        yield between


@pytest.fixture
async def opened(metrics: Metrics) -> AsyncIterator[Open]:
    """Open links to Redis that are up, and closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def open_(url: str, *, up: bool = True) -> Redis:
            redis = Redis(url, metrics)
            await redis.open()
            stack.push_async_callback(redis.close)
            if up:
                await until(lambda: redis.is_up)
            return redis

        yield open_

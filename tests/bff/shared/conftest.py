import asyncio
from collections.abc import AsyncIterator

import pytest

from bff import claims, sharing
from tests.bff.shared.replica import Replica, be_patient
from tests.bff.shared.work import Work


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Let time pass as it does: there are real servers behind the sockets."""
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
async def replicas(redis_url: str) -> AsyncIterator[tuple[Replica, Replica]]:
    """Give two replicas that both share the Redis."""
    async with Replica(redis_url) as one, Replica(redis_url) as other:
        yield one, other


@pytest.fixture
async def work(replicas: tuple[Replica, Replica]) -> AsyncIterator[Work]:
    work = Work(*replicas)
    yield work
    work.release()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_PATIENCE_SECONDS", 0.3)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon what Redis could not take, and believe soon that all is well."""
    monkeypatch.setattr(claims, "_AGAIN_SECONDS", (0.02, 0.05))
    monkeypatch.setattr(sharing, "_CALM_SECONDS", 0)

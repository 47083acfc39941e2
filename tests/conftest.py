from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.redis_servers import RedisServer
from tests.servers import PostgresServer
from tests.stores import Database, empty_store
from upstreams.user_store import UserStore


class OpenStore(Protocol):
    def __call__(self, url: str, **options: Any) -> UserStore: ...


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Give the address of a Redis with nothing in it."""
    redis_server.ask("FLUSHALL")
    redis_server.ask("SCRIPT FLUSH")
    return redis_server.url


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give the platform's tables, empty, in each database in turn."""
    async with empty_store(database_url) as database:
        yield database


@pytest.fixture
async def postgres(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    async with empty_store(postgres_server.url) as database:
        yield database


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    async with empty_store(f"sqlite:///{tmp_path / 'store.db'}") as database:
        yield database


@pytest.fixture
async def open_store() -> AsyncIterator[OpenStore]:
    """Open user stores that are closed when the test ends."""
    async with AsyncExitStack() as stack:

        def open_(url: str, **options: Any) -> UserStore:
            store = UserStore(url, **({"failures": 1_000_000} | options))  # the breaker has tests of its own
            stack.push_async_callback(store.close)
            return store

        yield open_


@pytest.fixture
def store(database: Database, open_store: OpenStore) -> UserStore:
    return open_store(database.url)

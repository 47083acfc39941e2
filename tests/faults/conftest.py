from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from demo import store
from tests.faults.proxy import Proxy, proxy
from tests.stores import Database


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the pretend platform's store, which nothing writes to."""
    path: Path = tmp_path_factory.mktemp("platform") / "store.db"
    store.create(path, datetime.now(UTC), "http://127.0.0.1:1")
    return f"sqlite:///{path}"


@pytest.fixture
async def postgres_port(postgres: Database) -> int:
    """Give the port of a PostgreSQL that holds the pretend platform's rows."""
    for table, rows in store.rows_of(datetime.now(UTC), "http://127.0.0.1:1"):
        await postgres.add(table, *rows)
    port = make_url(postgres.url).port
    assert port is not None
    return port


@pytest.fixture
async def between(postgres_port: int) -> AsyncIterator[Proxy]:
    """Give what stands between the gateway and that PostgreSQL."""
    async with proxy(postgres_port) as between:
        yield between

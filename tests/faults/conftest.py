from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bff import clients
from demo import store
from tests.faults.proxy import Proxy, proxy
from tests.stores import Database
from upstreams import gateway


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe services for 0.4 s (the 4 s are promise 1's), and soon try a refused token again."""
    monkeypatch.setattr(gateway, "_REFUSED_SECONDS", 0.1)
    monkeypatch.setattr(clients, "_PROBES", replace(clients._PROBES, timeout=0.4, deadline=0.4))


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the pretend platform's store, which nothing writes to."""
    path: Path = tmp_path_factory.mktemp("platform") / "store.db"
    store.create(path, datetime.now(UTC), "http://127.0.0.1:1")
    return f"sqlite:///{path}"


@pytest.fixture
def own_sqlite_url(tmp_path: Path) -> str:
    """Give a store of the test's own, which it may write to."""
    path = tmp_path / "store.db"
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

import math
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from bff import clients, memberships, overload
from bff.edge import shedding
from demo import store
from tests.faults.proxy import Proxy, proxy
from tests.faults.table import LATE
from tests.stores import Database, platform_store
from upstreams import clerk, gateway
from upstreams.user_store.drivers import Sqlite

NOBODYS = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everybody in: where clients and upstreams share its loop, the turns say nothing of the gateway."""
    monkeypatch.setattr(overload, "FLOOR", overload.CEILING)
    monkeypatch.setattr(shedding, "QUEUE_SECONDS", math.inf)


@pytest.fixture(autouse=True)
def in_no_fear_of_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SQLite not wait for the disk: on a busy machine that may take longer than what is measured."""
    connect = Sqlite.connect

    async def connected(self: Sqlite) -> Any:
        connection = await connect(self)
        await connection.execute("PRAGMA synchronous = OFF")
        return connection

    monkeypatch.setattr(Sqlite, "connect", connected)


@pytest.fixture
def in_a_hurry(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe late services for 0.4 s (the 4 s are promise 1's), and soon again; so with a refused token."""
    monkeypatch.setattr(gateway, "_REFUSED_SECONDS", 0.1)
    probes = replace(clients._PROBES, open_for=0.05)  # as the rig has it for the other upstreams
    if fault in LATE:
        probes = replace(probes, timeout=0.4, deadline=0.4)
    monkeypatch.setattr(clients, "_PROBES", probes)


@pytest.fixture
def members_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships, "_FRESH_SECONDS", 0)


@pytest.fixture
def keys_asked_for_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerk, "_FIRST_REFRESH_SECONDS", 0.05)


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the pretend platform's store, which nothing writes to."""
    return platform_store(tmp_path_factory.mktemp("platform") / "store.db", NOBODYS)


@pytest.fixture
def own_sqlite_url(tmp_path: Path) -> str:
    """Give a store of the test's own, which it may write to."""
    return platform_store(tmp_path / "store.db", NOBODYS)


@pytest.fixture
async def postgres_port(postgres: Database) -> int:
    """Give the port of a PostgreSQL that holds the pretend platform's rows."""
    await postgres.fill(store.rows_of(datetime.now(UTC), NOBODYS))
    port = make_url(postgres.url).port
    assert port is not None
    return port


@pytest.fixture
async def between(postgres_port: int) -> AsyncIterator[Proxy]:
    """Give what stands between the gateway and that PostgreSQL."""
    async with proxy(postgres_port) as between:
        yield between

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from demo import store
from demo.platform import Platform, Ports
from tests.edge_sockets.echo import Echo
from tests.edge_sockets.wire import Front, OpenFront, open_front, serving


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Run each test on both event loops: they differ in when they call a protocol."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform(Ports.free()) as platform:
        yield platform


@pytest.fixture
def store_file(platform: Platform, tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    store.create(path, datetime.now(UTC), platform.urls["gateway"])
    return path


@pytest.fixture
async def open_gateway(platform: Platform, store_file: Path) -> AsyncIterator[OpenFront]:
    """Open gateways on the pretend platform, behind the protocol; settings by their section."""
    async with open_front(platform.settings(store_file)) as open_:
        yield open_


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    async with serving(Echo()) as front:
        yield front

import asyncio

import pytest
import uvloop

from upstreams.transport import LeanTransport


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    """Run each test on both event loops: they differ in when they call a protocol."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def transport():
    async with LeanTransport() as transport:
        yield transport

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.platform import Platform, Ports
from tests.forks import Forks
from tests.stores import platform_store

NO_STORE = "postgresql://user:of-the-store@127.0.0.1:1/platform"


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks.open() as forks:
        yield forks


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform(Ports.free()) as platform:
        yield platform


@pytest.fixture
def settings(platform: Platform, tmp_path: Path) -> dict[str, Any]:
    """Give the configuration of a gateway on the pretend platform and a store that is there."""
    path = tmp_path / "store.db"
    platform_store(path, platform.urls["gateway"])
    return platform.settings(path)


@pytest.fixture
def storeless(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the same with a store that is not there."""
    settings["upstreams"]["user_store"] = {"url": NO_STORE}
    return settings


@pytest.fixture(params=["store", "no store"])
def either(request: pytest.FixtureRequest, settings: dict[str, Any]) -> dict[str, Any]:
    """Give the configuration with a store that is there, and with one that is not."""
    if request.param == "no store":
        settings["upstreams"]["user_store"] = {"url": NO_STORE}
    return settings

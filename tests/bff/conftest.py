import sys
from datetime import UTC, datetime, timedelta

import pytest

from bff import clock as clocks
from tests.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item):
    return {"virtual": VirtualTimeLoop}


class Clock:
    """Both clocks of the gateway, moved by the test alone."""

    started = 1000.0
    noon = datetime(2026, 4, 4, 12, tzinfo=UTC)

    def __init__(self) -> None:
        self.now = self.started

    def monotonic(self) -> float:
        return self.now

    def utc_now(self) -> datetime:
        return self.noon + timedelta(seconds=self.now - self.started)

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clocks in every module of the gateway that is loaded."""
    clock = Clock()
    real = {name: getattr(clocks, name) for name in ("monotonic", "utc_now")}
    for module in [module for name, module in sys.modules.items() if name.startswith("bff.")]:
        for name, original in real.items():
            if getattr(module, name, None) is original:
                monkeypatch.setattr(module, name, getattr(clock, name))
    return clock

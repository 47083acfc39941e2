"""An event loop whose time passes only when nothing else can happen, and then at once: no test has to wait."""

import asyncio
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Timers fire in their order at exactly their time. Waiting for what can never happen raises RuntimeError."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        self._wait_for_files = self._selector.select
        self._selector.select = self._pass_time

    def time(self) -> float:
        return self._now

    def _pass_time(self, timeout: float | None = None) -> Any:
        ready = self._wait_for_files(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everyone waits for something that will never happen")
            self._now += timeout
        return ready


async def settle() -> None:
    """Return when every task has gone as far as it can without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)

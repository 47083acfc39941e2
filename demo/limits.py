"""Counting what each client does in a minute."""

import math
import time
from collections.abc import Callable

MINUTE = 60.0


class PerMinute:
    """``most`` events a minute for each client; a client's minute begins with the first of them."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._counted: dict[str, tuple[float, int]] = {}  # the client -> when its minute ends, its events

    def count(self, client: str) -> None:
        """Count one event."""
        ends, events = self._current(client)
        self._counted[client] = (ends, events + 1)

    def wait(self, client: str) -> int:
        """Return the whole seconds until the client may have another event, 0 when it may now."""
        ends, events = self._current(client)
        return math.ceil(ends - self._clock()) if events >= self._most else 0

    def _current(self, client: str) -> tuple[float, int]:
        now = self._clock()
        ends, events = self._counted.get(client, (now, 0))
        return (now + MINUTE, 0) if ends <= now else (ends, events)

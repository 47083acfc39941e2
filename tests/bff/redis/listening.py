"""Somebody who listens to a channel."""

from bff.metrics import Metrics
from bff.redis import Redis
from tests.faults.rig import until

CHANNEL = "bff:changed"
GAP = b"gap"
UNBEARABLE = b"unbearable"
NOTICED_WITHIN = 5.0


class Listener:
    """``heard``: all that was heard, each ``GAP`` a moment before which something may have been missed.

    ``given_up``: how many connections were.
    """

    def __init__(self, url: str) -> None:
        self.redis = Redis(url, Metrics())
        self.redis.subscribe(CHANNEL, self._hear, lambda: self.heard.append(GAP))
        self.heard: list[bytes] = []
        self.given_up = 0
        subscription = self.redis._subscriptions[0]
        self._listen, subscription._listen = subscription._listen, self._listen_and_count

    def _hear(self, message: bytes) -> None:
        if message == UNBEARABLE:
            raise ValueError(message)
        self.heard.append(message)

    async def _listen_and_count(self) -> None:
        try:
            await self._listen()
        finally:
            self.given_up += 1

    async def __aenter__(self) -> "Listener":
        await self.redis.open()
        await until(lambda: self.heard)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.redis.close()

    async def hears(self, *expected: bytes) -> bool:
        """Return whether these, and nothing else, come to be heard in time."""
        await until(lambda: len(self.heard) >= len(expected), within=NOTICED_WITHIN)
        return self.heard == list(expected)

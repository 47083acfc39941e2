"""What one of several replicas has of its own: its link to Redis, its figures, its memory."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from bff.idempotency import Idempotency
from bff.limits import RateLimits
from bff.metrics import Metrics
from bff.redis import Redis, link, wire
from bff.sharing import Sharing
from tests.faults.rig import until
from tests.redis_servers import RedisServer

LONGEST = 30.0


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """Take no Redis for lost because this machine is busy, and try it soon again: both are the link's to keep."""
    patch.setattr(link, "COMMAND_SECONDS", 5.0)
    patch.setattr(link, "_AGAIN_AFTER", (0.02, 0.05))
    patch.setattr(wire, "REPLY_SECONDS", 5.0)


class Replica:
    def __init__(self, url: str, *, longest: float = LONGEST) -> None:
        self.metrics = Metrics()
        self.redis = Redis(url, self.metrics)
        self.limits = RateLimits(self._sharing("limits"))
        self.repeats = Idempotency(self._sharing("idempotency"), longest=longest)

    def _sharing(self, feature: str) -> Sharing:
        return Sharing(feature, self.redis, "bff", self.metrics)

    async def __aenter__(self) -> "Replica":
        await self.redis.open()
        await self.shares()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.repeats.close()
        await self.redis.close()

    async def shares(self) -> None:
        """Return when Redis is asked, again at the latest 5 s after it could be."""
        await until(lambda: self.redis.is_up, within=5)

    def fallbacks(self, feature: str) -> float:
        """Return how often process memory has decided."""
        return self.metrics.fallbacks.labels(feature)._value.get()


@contextmanager
def gone(server: RedisServer) -> Iterator[None]:
    """Within, there is no server; afterwards it has nothing in it."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def hung(server: RedisServer) -> Iterator[None]:
    """Within, the server says nothing, and nobody is patient."""
    with pytest.MonkeyPatch.context() as patch, server.hung():
        patch.setattr(link, "COMMAND_SECONDS", 0.08)
        yield


@contextmanager
def read_only(server: RedisServer) -> Iterator[None]:
    """Within, the server is the replica of one that is not there, and refuses to change anything."""
    server.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        server.ask("REPLICAOF", "NO", "ONE")


TROUBLES: dict[str, Callable[[RedisServer], AbstractContextManager[None]]] = {
    "gone": gone,
    "hung": hung,
    "full": lambda server: server.config(maxmemory=1, maxmemory_policy="noeviction"),
    "read-only": read_only,
}

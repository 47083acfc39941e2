"""Requests with keys at two replicas, and the work that they ask for."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from bff.cache.keys import claim_key, idempotency_key
from bff.claims import StillUnderWay
from tests.bff.shared.replica import Replica
from tests.faults.rig import until

SCOPE = ("agents.provision", "ada")


class Work:
    """Requests with keys. Each piece of work answers its number when the test lets it."""

    def __init__(self, one: Replica, other: Replica) -> None:
        self.one = one
        self.other = other
        self.started = 0
        self._going = asyncio.Event()
        self._going.set()

    def hold(self) -> None:
        self._going.clear()

    def release(self) -> None:
        self._going.set()

    def ask(
        self, at: Replica, key: str = "k", body: bytes = b"body", keep: bool = True
    ) -> "asyncio.Task[tuple[int, bool]]":
        run = at.repeats.run(SCOPE, key, body, self._work, keep=lambda _: keep, into=int)
        return asyncio.create_task(run)

    async def under_way(self, at: Replica, **how: Any) -> "asyncio.Task[tuple[int, bool]]":
        """Return a request whose work has begun, and is held."""
        self.hold()
        before = self.started
        asking = self.ask(at, **how)
        await until(lambda: self.started > before)
        return asking

    async def waiting(self, at: Replica, **how: Any) -> "asyncio.Task[tuple[int, bool]]":
        """Return a request that has seen that another replica works for its key."""
        asking = self.ask(at, **how)
        await until(lambda: at.repeats._claims._met)
        return asking

    async def _work(self) -> int:
        self.started += 1
        number = self.started
        await self._going.wait()
        return number


def name_of(key: str) -> str:
    return claim_key("bff", idempotency_key(SCOPE, key))


async def refused(asking: Awaitable[Any], error: type[Exception] = StillUnderWay) -> bool:
    with pytest.raises(error):
        await asking
    return True

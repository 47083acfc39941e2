"""Sending requests to the replicas as a balancer does: to one that is ready, once."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.soak.replicas import Life, Replica
from tests.soak.wire import Answer, Connection, Cut, Silent

_WITHIN_SECONDS: Final = 40.0  # more than anything may take
_NOBODY_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent to ``life``, and what came of it: an answer, or why there is none."""

    life: Life
    began: float
    ended: float
    answer: Answer | None = None
    failure: Cut | Silent | None = None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Balancer:
    def __init__(self, replicas: Sequence[Replica], chance: Random) -> None:
        self._replicas = replicas
        self._chance = chance

    async def send(self, *pieces: bytes, via: str | None = None, pause: float = 0.0) -> Sent:
        """Send the request to the replica named ``via`` if that takes requests, else to another one.

        Where nobody accepts the connection nothing has been sent, and somebody else is tried.
        """
        life, connection = await self.connect(via)
        began = time.monotonic()
        try:
            answer = await connection.ask(*pieces, within=_WITHIN_SECONDS, pause=pause)
        except (Cut, Silent) as failure:
            return Sent(life, began, time.monotonic(), failure=failure)
        ended = time.monotonic()
        life.keep(connection)
        return Sent(life, began, ended, answer)

    async def connect(self, via: str | None = None) -> tuple[Life, Connection]:
        """Return a connection to a replica that takes requests. Raises TimeoutError when there is none."""
        async with asyncio.timeout(_NOBODY_SECONDS):
            while True:
                for life in self._in_order(via):
                    try:
                        return life, await life.connection()
                    except OSError:
                        continue
                await asyncio.sleep(_AGAIN_SECONDS)

    def _in_order(self, via: str | None) -> list[Life]:
        lives = [replica.life for replica in self._replicas if replica.life.takes_requests]
        self._chance.shuffle(lives)
        return sorted(lives, key=lambda life: life.name != via)

"""Bulkhead: how many calls one upstream may hold at once, and how many may wait for a place."""

import asyncio
from typing import Any

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import Call, Send


class Bulkhead:
    """At most ``places`` calls at once; ``queue`` more wait until their deadline, the rest fail at once."""

    def __init__(self, upstream: str, send: Send, *, places: int, queue: int) -> None:
        self._upstream = upstream
        self._send = send
        self._places = asyncio.Semaphore(places)
        self._room = queue

    async def __call__(self, call: Call) -> Any:
        if self._places.locked():
            await self._wait(call.expires)
        else:
            await self._places.acquire()
        try:
            return await self._send(call)
        finally:
            self._places.release()

    async def _wait(self, expires: float) -> None:
        if not self._room:
            raise UpstreamFailure(self._upstream, Reason.SATURATED)
        self._room -= 1
        try:
            async with asyncio.timeout_at(expires):
                await self._places.acquire()
        except TimeoutError as error:
            raise UpstreamFailure(self._upstream, Reason.SATURATED) from error
        finally:
            self._room += 1

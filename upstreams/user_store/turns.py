"""Waiting for one's turn: never without an end, and one user's crowd in a queue of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from upstreams.failure import Reason, UpstreamFailure

UPSTREAM = "user_store"


async def take(place: asyncio.Semaphore, wait: float) -> None:
    """Return when ``place`` is the caller's; after ``wait`` seconds without it the failure is ``saturated``."""
    if not place.locked():
        await place.acquire()  # does not wait, so it needs no time limit
        return
    try:
        async with asyncio.timeout(wait):
            await place.acquire()
    except TimeoutError as error:
        raise UpstreamFailure(UPSTREAM, Reason.SATURATED) from error


class Turns:
    """One at a time for each name, in the order of asking; each waits up to ``wait`` seconds."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        # A place lasts as long as someone holds it or waits for it.
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        place = self._places.setdefault(name, asyncio.Semaphore(1))
        await take(place, self._wait)
        try:
            yield
        finally:
            place.release()

"""Single-flight: equal questions asked at once are answered by one piece of work."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs one task for each key at a time. No waiter owns it: whoever goes away leaves it to the others."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[T]] = {}

    def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> tuple[asyncio.Task[T], bool]:
        """Return the task that answers ``key``, and whether this call started it.

        Await it through ``asyncio.shield``: a bare await would cancel it for everyone.
        """
        flight = self._flights.get(key)
        # One that has just ended is not waited for: whoever wants a later result would be given it again and
        # again, without the loop turning in between, which is what it takes to land.
        if flight is not None and not flight.done():
            return flight, False
        flight = self._flights[key] = asyncio.create_task(start())
        flight.add_done_callback(lambda done: self._land(key, done))
        return flight, True

    def _land(self, key: Hashable, flight: asyncio.Task[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # marks it as seen: a flight whose waiters all left has nobody else to tell

    async def close(self) -> None:
        """Cancel what is in flight and wait until it has ended."""
        flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

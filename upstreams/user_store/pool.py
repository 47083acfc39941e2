"""The user store's connections: a bounded number, and never one again whose statement was cut short."""

import asyncio
from collections.abc import Sequence
from typing import Any, Generic

from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store.drivers import C, Driver, Row

UPSTREAM = "user_store"


class Pool(Generic[C]):
    """At most ``size`` connections, opened as needed and kept; the one used last is used next.

    A statement waits up to ``wait`` seconds for one and then has ``timeout`` seconds, connecting included.
    """

    def __init__(self, driver: Driver[C], *, size: int, wait: float, timeout: float) -> None:
        self._driver = driver
        self._wait = wait
        self._timeout = timeout
        self._free = asyncio.Semaphore(size)
        self._idle: list[C] = []
        self._closed = False

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        """Return the statement's rows. Raises UpstreamFailure."""
        await self._turn()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetch(sql, arguments)
        except Exception as error:
            raise UpstreamFailure(UPSTREAM, self._driver.reason(error)) from error
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close what is idle now, and what is busy as soon as it is not."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(self._driver.close, idle))
        await self._driver.settle()

    async def _turn(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # does not wait, so it needs no time limit
            return
        try:
            async with asyncio.timeout(self._wait):
                await self._free.acquire()
        except TimeoutError as error:
            raise UpstreamFailure(UPSTREAM, Reason.SATURATED) from error

    async def _fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        connection = self._reuse() or await self._driver.connect()
        try:
            rows = await self._driver.fetch(connection, sql, arguments)
        except BaseException:
            # Its answer may still come, and must not be taken for that of the next statement.
            self._driver.discard(connection)
            raise
        self._keep(connection)
        return rows

    def _reuse(self) -> C | None:
        while self._idle:
            connection = self._idle.pop()
            if self._driver.usable(connection):
                return connection
        return None

    def _keep(self, connection: C) -> None:
        if self._closed:
            self._driver.discard(connection)
        else:
            self._idle.append(connection)

"""The user store's connections: a bounded number, and never one again whose statement was cut short."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from upstreams.failure import UpstreamFailure
from upstreams.user_store.drivers import C, Driver, Row
from upstreams.user_store.turns import UPSTREAM, take

T = TypeVar("T")


class Pool(Generic[C]):
    """At most ``size`` connections, opened as needed and kept; the one used last is used next.

    A statement, or a transaction as a whole, waits up to ``wait`` seconds for one and then has ``timeout``
    seconds, connecting included.
    """

    def __init__(self, driver: Driver[C], *, size: int, wait: float, timeout: float) -> None:
        self._driver = driver
        self._wait = wait
        self._timeout = timeout
        self._free = asyncio.Semaphore(size)
        self._idle: list[C] = []
        self._waiting: deque[float] = deque()  # since when, the longest first
        self._closed = False

    @property
    def delay(self) -> float:
        """For how many seconds the first in the queue for a connection has been waiting, 0.0 without a queue."""
        return time.monotonic() - self._waiting[0] if self._waiting else 0.0

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        """Return the rows of a statement that is a transaction of its own. Raises UpstreamFailure."""
        return await self._lend(partial(self._driver.fetch, sql=sql, arguments=arguments))

    async def transact(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Sequence[Row]]:
        """Return the rows of each statement, all of them carried out in one transaction, or none.

        Raises UpstreamFailure. When the answer to the commit is lost (``timeout``, ``reset``) it may be either.
        """
        return await self._lend(partial(self._transact, statements=statements))

    async def close(self) -> None:
        """Close what is idle now, and what is busy as soon as it is not."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(self._driver.close, idle))
        await self._driver.settle()

    async def _transact(
        self, connection: C, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[Sequence[Row]]:
        await self._driver.begin(connection)
        rows = [await self._driver.fetch(connection, sql, arguments) for sql, arguments in statements]
        await self._driver.commit(connection)
        return rows

    async def _lend(self, use: Callable[[C], Awaitable[T]]) -> T:
        await self._turn()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._use(use)
        except Exception as error:
            raise UpstreamFailure(UPSTREAM, self._driver.reason(error)) from error
        finally:
            self._free.release()

    async def _turn(self) -> None:
        since = time.monotonic()
        self._waiting.append(since)
        try:
            await take(self._free, self._wait)
        finally:
            self._waiting.remove(since)

    async def _use(self, use: Callable[[C], Awaitable[T]]) -> T:
        connection = self._reuse() or await self._driver.connect()
        try:
            result = await use(connection)
        except BaseException:
            # An answer may still come, which must not be taken for that of the next statement, and a
            # transaction that was begun may still be open: it ends with its connection.
            self._driver.discard(connection)
            raise
        self._keep(connection)
        return result

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

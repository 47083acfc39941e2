"""The databases that cases run on: filled before, and read for what is left after."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Thread
from typing import Any, Self

from sqlalchemy import URL, Table, insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from tests.contract.expect import Expectation
from tests.contract.store import TABLES, described
from tests.stores import DRIVERS, EMPTY, Row
from upstreams.user_store import tables


class PostgresStore:
    """A database of the cases' own: its tables are made once and emptied for each case.

    It is filled on a connection that stays, in a thread with an event loop of its own: each case has another loop.
    """

    def __init__(self, server: str) -> None:
        self._server = make_url(server)
        self._address = self._server.set(database="contract")
        self._engine = create_async_engine(self._address.set(drivername=DRIVERS["postgresql"]))
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)

    @classmethod
    @contextmanager
    def open(cls, server: str) -> Iterator[Self]:
        store = cls(server)
        store._thread.start()
        try:
            store._begin(store._make()).result()
            yield store
            store._begin(store._engine.dispose()).result()
        finally:
            store._loop.call_soon_threadsafe(store._loop.stop)
            store._thread.join()
            store._loop.close()

    @property
    def url(self) -> str:
        return self._address.render_as_string(hide_password=False)

    async def fill(self, filling: Sequence[tuple[Table, list[Row]]]) -> None:
        """Hold these rows and no others."""
        await asyncio.wrap_future(self._begin(self._fill(filling)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _fill(self, filling: Sequence[tuple[Table, list[Row]]]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(EMPTY)
            for table, rows in filling:
                await connection.execute(insert(table), rows)

    async def _make(self) -> None:
        async with _connected(self._server, isolation_level="AUTOCOMMIT") as connection:
            await connection.execute(text("CREATE DATABASE contract"))
        async with self._engine.begin() as connection:
            await connection.run_sync(tables.metadata.create_all)


async def in_store(left: Mapping[str, Any], url: str, expectation: Expectation) -> list[str]:
    """Return where the store is not as ``left``: for each table its rows, in part, or how many there are."""
    problems: list[str] = []
    for name, expected in left.items():
        rows = await _rows(make_url(url), TABLES[name])
        problems += _in_rows(expected, rows, f"left {name}", expectation)
    return problems


def _in_rows(expected: Any, rows: list[Row], at: str, expectation: Expectation) -> Iterator[str]:
    if isinstance(expected, int):
        yield from expectation.differences(expected, len(rows), at)
    else:
        yield from expectation.differences(expected or [], rows, at, partly=True)


async def _rows(url: URL, table: Table) -> list[Row]:
    async with _connected(url) as connection:
        found = await connection.execute(select(table).order_by(*table.primary_key))
        return [described(dict(row)) for row in found.mappings()]


@asynccontextmanager
async def _connected(url: URL, **options: Any) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url.set(drivername=DRIVERS[url.drivername]), poolclass=NullPool, **options)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()

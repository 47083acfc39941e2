"""The databases that cases run on: filled before, and read for what is left after."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Table, delete, insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from tests.contract.expect import Expectation
from tests.contract.store import TABLES, described
from tests.stores import DRIVERS, Row
from upstreams.user_store import tables


class PostgresStore:
    """A database of the cases' own: its tables are made once and emptied for each case."""

    def __init__(self, server: str) -> None:
        self._server = make_url(server)
        self._address = self._server.set(database="contract")
        self._is_made = False

    @property
    def url(self) -> str:
        return self._address.render_as_string(hide_password=False)

    async def fill(self, filling: list[tuple[Table, list[Row]]]) -> None:
        """Hold these rows and no others."""
        if not self._is_made:
            await self._make()
        async with _connected(self._address) as connection:
            for table in reversed(tables.metadata.sorted_tables):
                await connection.execute(delete(table))
            for table, rows in filling:
                await connection.execute(insert(table), rows)

    async def _make(self) -> None:
        async with _connected(self._server, isolation_level="AUTOCOMMIT") as connection:
            await connection.execute(text("CREATE DATABASE contract"))
        async with _connected(self._address) as connection:
            await connection.run_sync(tables.metadata.create_all)
        self._is_made = True


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

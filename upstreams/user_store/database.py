"""A database that is asked by statements: compiled once, in a pool, behind a circuit breaker."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from operator import call
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Breaker
from upstreams.user_store.drivers import Driver, Row
from upstreams.user_store.pool import Pool
from upstreams.user_store.turns import UPSTREAM

T = TypeVar("T")


class Statement:
    """A statement compiled once for one database."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Return the parameters by position."""
        known = self._constants | values
        return [known[name] for name in self._names]


class Database:
    """Where statements are carried out. Every failure is an UpstreamFailure, and counts for the breaker.

    What opens it is as with ``upstreams.pipe.Breaker``.
    """

    def __init__(
        self, driver: Driver[Any], pool: Pool[Any], *, failures: int, ratio: float, volume: int, open_for: float
    ) -> None:
        self.pool = pool
        self._driver = driver
        self._statements: dict[ClauseElement, Statement] = {}
        # Data that cannot be read or kept is one user's, and must not take the store away from the others.
        self._guarded: Breaker[Callable[[], Awaitable[Any]]] = Breaker(
            UPSTREAM,
            call,
            failures=failures,
            ratio=ratio,
            volume=volume,
            open_for=open_for,
            excused={Reason.MALFORMED},
        )

    def moment(self, value: datetime) -> Any:
        """Return an aware time as statements take it."""
        return self._driver.moment(value)

    async def ask(self, statement: ClauseElement, read: Callable[[Sequence[Row]], T], **values: Any) -> T:
        """Return what ``read`` makes of the statement's rows."""
        compiled = self._compiled(statement)
        rows = await self._guarded(partial(self.pool.fetch, compiled.sql, compiled.arguments(values)))
        return _made(read, rows)

    async def write(self, statement: ClauseElement, read: Callable[[Sequence[Row]], T], **values: Any) -> T:
        """Return what :meth:`ask` does of a statement that changes something, which it may have when it fails."""
        try:
            return await self.ask(statement, read, **values)
        except UpstreamFailure as failure:
            failure.unsafe = True
            raise

    async def transact(
        self, statements: Sequence[ClauseElement], read: Callable[[Sequence[Sequence[Row]]], T], **values: Any
    ) -> T:
        """Return what ``read`` makes of the rows of each statement, all carried out in one transaction."""
        compiled = [self._compiled(statement) for statement in statements]
        work = [(statement.sql, statement.arguments(values)) for statement in compiled]
        return _made(read, await self._guarded(partial(self.pool.transact, work)))

    async def close(self) -> None:
        await self.pool.close()

    def _compiled(self, statement: ClauseElement) -> Statement:
        if statement not in self._statements:
            self._statements[statement] = Statement(statement, self._driver.dialect)
        return self._statements[statement]


def _made(read: Callable[[Any], T], rows: Any) -> T:
    try:
        return read(rows)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UpstreamFailure(UPSTREAM, Reason.MALFORMED) from error

"""The user store's client: each method is one statement, and raises only UpstreamFailure."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Breaker
from upstreams.user_store import readers, statements
from upstreams.user_store.address import parse
from upstreams.user_store.drivers import Row, driver
from upstreams.user_store.pool import UPSTREAM, Pool
from upstreams.user_store.rows import (
    Account,
    Bootstrap,
    Counts,
    Dashboard,
    Inventory,
    SessionOwner,
    Subscription,
    Summary,
)

T = TypeVar("T")

EXPIRES_SOON = timedelta(days=3)


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


class UserStore:
    """The platform's relational database, read only. Durations are in seconds.

    ``statement_timeout`` bounds a call, opening a connection included; waiting for one of ``pool_size``
    connections adds at most ``pool_wait``.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_wait: float = 1.0,
        statement_timeout: float = 1.5,
        connect_timeout: float = 1.0,
        failures: int = 5,
        open_for: float = 1.0,
    ) -> None:
        """Raise ValueError when ``url`` names no database that can be read; nothing is connected yet.

        ``failures`` in a row open the circuit breaker, which then lets a probe through every ``open_for``.
        """
        self._driver = driver(parse(url), statement_timeout, connect_timeout)
        self._pool = Pool(self._driver, size=pool_size, wait=pool_wait, timeout=statement_timeout)
        # Unreadable data is one user's, and must not take the store away from the others.
        self._send: Breaker[tuple[Statement, dict[str, Any]]] = Breaker(
            UPSTREAM, self._fetch, failures=failures, open_for=open_for, excused={Reason.MALFORMED}
        )
        self._session = self._compiled(statements.SESSION)
        self._account = self._compiled(statements.ACCOUNT)
        self._dashboard = self._compiled(statements.DASHBOARD)
        self._bootstrap = self._compiled(statements.BOOTSTRAP)
        self._inventory = self._compiled(statements.INVENTORY)
        self._subscription = self._compiled(statements.SUBSCRIPTION)
        self._counts = self._compiled(statements.COUNTS)
        self._summary = self._compiled(statements.SUMMARY)
        self._ping = self._compiled(statements.PING)

    async def session(self, token: str, now: datetime) -> SessionOwner | None:
        """Return whose session ``token`` is, None when there is none that lasts beyond ``now``."""
        if not token.isprintable():
            return None  # not a token, and PostgreSQL would refuse to look for it
        return await self._ask(self._session, readers.session_owner, token=token, now=self._driver.moment(now))

    async def account(self, user_id: str) -> Account | None:
        """Return the user's account, None when the user is missing."""
        return await self._ask(self._account, readers.account, user_id=user_id)

    async def dashboard(self, user_id: str) -> Dashboard | None:
        """Return the user and the user's agent, None when the user is missing."""
        return await self._ask(self._dashboard, readers.dashboard, user_id=user_id)

    async def bootstrap(self, user_id: str) -> Bootstrap | None:
        """Return the user's referrals and connection, None when the user is missing."""
        return await self._ask(self._bootstrap, readers.bootstrap, user_id=user_id)

    async def inventory(self, user_id: str, since: datetime, until: datetime) -> Inventory | None:
        """Return what the user has, and by month what came from ``since`` to ``until``, both included."""
        return await self._ask(
            self._inventory,
            readers.inventory,
            user_id=user_id,
            since=self._driver.moment(since),
            until=self._driver.moment(until),
        )

    async def subscription(self, user_id: str) -> Subscription | None:
        """Return the user's plan and live agents, None when the user is missing."""
        return await self._ask(self._subscription, readers.subscription, user_id=user_id)

    async def counts(self, user_id: str, today: datetime) -> Counts | None:
        """Return how much the user has, new being what was created since ``today``, 00:00 UTC."""
        return await self._ask(self._counts, readers.counts, user_id=user_id, today=self._driver.moment(today))

    async def summary(self, now: datetime) -> Summary:
        """Return the platform's trials and agents; a trial expires soon when it ends within three days."""
        moment = self._driver.moment
        return await self._ask(self._summary, readers.summary, now=moment(now), soon=moment(now + EXPIRES_SOON))

    async def ping(self) -> None:
        """Return when the database answers."""
        await self._send((self._ping, {}))

    async def check_schema(self) -> None:
        """Return when every table and column that is read exists; else the failure is ``malformed``."""
        for statement in statements.SCHEMA:
            await self._send((self._compiled(statement), {}))

    async def close(self) -> None:
        """Close the connections. Statements under way finish."""
        await self._pool.close()

    def _compiled(self, statement: ClauseElement) -> Statement:
        return Statement(statement, self._driver.dialect)

    async def _fetch(self, call: tuple[Statement, dict[str, Any]]) -> Sequence[Row]:
        statement, values = call
        return await self._pool.fetch(statement.sql, statement.arguments(values))

    async def _ask(self, statement: Statement, read: Callable[[Sequence[Row]], T], **values: Any) -> T:
        rows = await self._send((statement, values))
        try:
            return read(rows)
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise UpstreamFailure(UPSTREAM, Reason.MALFORMED) from error

"""The two databases behind one small interface: open, ask, discard; and what their errors mean.

Connections are the drivers' own and are asked directly: SQLAlchemy compiles each statement once, and its
connection, cursor and result layers, which would cost six times the statement itself, stay out of each call.
"""

import asyncio
import socket
import sqlite3
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite

from upstreams.failure import Reason
from upstreams.user_store.address import Address, PostgresAddress, SqliteAddress

Row = Sequence[Any]
C = TypeVar("C")

CLOSE_WITHIN = 1.0


class Driver(Protocol[C]):
    """A way to one database; ``C`` is its connection."""

    dialect: Dialect

    async def connect(self) -> C: ...

    def usable(self, connection: C) -> bool:
        """Tell whether an idle connection is, as far as is known without asking, still connected."""

    async def fetch(self, connection: C, sql: str, arguments: Sequence[Any]) -> Sequence[Row]: ...

    async def begin(self, connection: C) -> None:
        """Begin a transaction whose every statement sees what others committed before it."""

    async def commit(self, connection: C) -> None: ...

    def discard(self, connection: C) -> None:
        """Drop a connection whose state is unknown, at once, without waiting for anything."""

    async def close(self, connection: C) -> None: ...

    async def settle(self) -> None:
        """Return when nothing of the discarded connections is left."""

    def moment(self, value: datetime) -> Any:
        """Return an aware time as statements take it."""

    def reason(self, error: Exception) -> Reason:
        """Tell why the database gave no answer."""


def driver(address: Address, statement_timeout: float, connect_timeout: float) -> Driver[Any]:
    """Return the driver for ``address``; both times in seconds."""
    if isinstance(address, PostgresAddress):
        return Postgres(address, statement_timeout, connect_timeout)
    return Sqlite(address, statement_timeout)


class Postgres:
    """PostgreSQL by asyncpg; outside of ``begin`` and ``commit`` each statement is a transaction of its own."""

    def __init__(self, address: PostgresAddress, statement_timeout: float, connect_timeout: float) -> None:
        self.dialect: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        milliseconds = round(statement_timeout * 1000)
        # A lock is not kept for a gateway that vanished, nor waited for without an end behind PgBouncer either.
        self._begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED;"
            f" SET LOCAL statement_timeout = {milliseconds};"
            f" SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
        )
        self._options: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "database": address.database,
            "ssl": _ssl(address.ssl),
            "timeout": connect_timeout,
        }
        if address.pooled:
            # PgBouncer refuses settings at the start, and statements prepared on another connection are unknown.
            self._options["statement_cache_size"] = 0
        else:
            self._options["server_settings"] = {
                "jit": "off",  # compiling an aggregate costs more than running it
                "statement_timeout": str(milliseconds),
                **address.server_settings,
            }

    async def connect(self) -> asyncpg.Connection:
        return await asyncpg.connect(**self._options)

    def usable(self, connection: asyncpg.Connection) -> bool:
        return not connection.is_closed()

    async def fetch(self, connection: asyncpg.Connection, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        rows: Sequence[Row] = await connection.fetch(sql, *arguments)
        return rows

    async def begin(self, connection: asyncpg.Connection) -> None:
        await connection.execute(self._begin)

    async def commit(self, connection: asyncpg.Connection) -> None:
        await connection.execute("COMMIT")

    def discard(self, connection: asyncpg.Connection) -> None:
        # The server ends what it was asked at its own statement_timeout.
        connection.terminate()

    async def close(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.close(timeout=CLOSE_WITHIN)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()

    async def settle(self) -> None:
        await asyncio.sleep(0)  # aborted transports close in the loop's next turn

    def moment(self, value: datetime) -> datetime:
        # To the precision of the columns, and down: PostgreSQL would round, to what may be yet to come.
        return value.astimezone(UTC).replace(tzinfo=None, microsecond=value.microsecond // 1000 * 1000)

    def reason(self, error: Exception) -> Reason:
        return next((reason for kind, reason in POSTGRES_REASONS if isinstance(error, kind)), Reason.MALFORMED)


class Sqlite:
    """A SQLite file by aiosqlite, which gives each connection a thread."""

    def __init__(self, address: SqliteAddress, statement_timeout: float) -> None:
        self.dialect: Dialect = SQLiteDialect_aiosqlite()
        self._path = Path(address.path).absolute()
        self._busy_timeout = statement_timeout
        self._stopping: set[asyncio.Task[None]] = set()

    async def connect(self) -> aiosqlite.Connection:
        # Only a file that exists: the gateway never makes a database.
        self._path.stat()
        uri = f"file:{quote(str(self._path))}?mode=rw"
        return await aiosqlite.connect(uri, uri=True, isolation_level=None, timeout=self._busy_timeout)

    def usable(self, connection: aiosqlite.Connection) -> bool:  # noqa: ARG002 - a file does not hang up
        return True

    async def fetch(self, connection: aiosqlite.Connection, sql: str, arguments: Sequence[Any]) -> Sequence[Row]:
        return list(await connection.execute_fetchall(sql, arguments))

    async def begin(self, connection: aiosqlite.Connection) -> None:
        # As a writer from the start: one that has read first cannot wait for another.
        await connection.execute_fetchall("BEGIN IMMEDIATE")

    async def commit(self, connection: aiosqlite.Connection) -> None:
        await connection.execute_fetchall("COMMIT")

    def discard(self, connection: aiosqlite.Connection) -> None:
        stopping = asyncio.create_task(self._stop(connection))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _stop(self, connection: aiosqlite.Connection) -> None:
        await connection.interrupt()
        if stopped := connection.stop():
            await stopped

    async def close(self, connection: aiosqlite.Connection) -> None:
        await connection.close()

    async def settle(self) -> None:
        await asyncio.gather(*self._stopping)

    def moment(self, value: datetime) -> str:
        # To the form and precision of ``dialects.comparable``.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")

    def reason(self, error: Exception) -> Reason:
        if isinstance(error, sqlite3.Error):
            # Misuse that the module itself notices has no code; the low byte is the kind of an extended one.
            return SQLITE_REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, Reason.MALFORMED)
        if isinstance(error, TimeoutError):
            return Reason.TIMEOUT
        return Reason.REFUSED if isinstance(error, OSError) else Reason.MALFORMED


# The first that fits decides: the special ones stand before their parents.
POSTGRES_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (TimeoutError, Reason.TIMEOUT),
    (asyncpg.QueryCanceledError, Reason.TIMEOUT),
    (asyncpg.LockNotAvailableError, Reason.TIMEOUT),
    (asyncpg.TooManyConnectionsError, Reason.SATURATED),
    (asyncpg.CannotConnectNowError, Reason.REFUSED),
    (asyncpg.InvalidAuthorizationSpecificationError, Reason.REFUSED),
    (asyncpg.InvalidCatalogNameError, Reason.REFUSED),
    (asyncpg.PostgresConnectionError, Reason.RESET),
    (asyncpg.OperatorInterventionError, Reason.RESET),
    (ssl.SSLError, Reason.TLS),
    (socket.gaierror, Reason.DNS),
    (ConnectionResetError, Reason.RESET),
    (BrokenPipeError, Reason.RESET),
    (OSError, Reason.REFUSED),
    (ValueError, Reason.MALFORMED),
    (asyncpg.InterfaceError, Reason.RESET),  # the connection closed since it was last used
)

SQLITE_REASONS = {
    sqlite3.SQLITE_CANTOPEN: Reason.REFUSED,
    sqlite3.SQLITE_PERM: Reason.REFUSED,
    sqlite3.SQLITE_BUSY: Reason.TIMEOUT,
    sqlite3.SQLITE_LOCKED: Reason.TIMEOUT,
    sqlite3.SQLITE_INTERRUPT: Reason.TIMEOUT,
}


def _ssl(mode: str | None) -> str | ssl.SSLContext | None:
    """Return what asyncpg takes; ``verify-full`` trusts the authorities that the machine trusts."""
    return ssl.create_default_context() if mode == "verify-full" else mode

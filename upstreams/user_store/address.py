"""Where the user store is: one database URL, as SQLAlchemy, libpq, Prisma or a hosting service writes it."""

from dataclasses import dataclass, field

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

POSTGRES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})

# Limits of other clients' pools and drivers; the gateway has its own.
FOREIGN = frozenset(
    {
        "channel_binding",
        "connect_timeout",
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "statement_cache_size",
    }
)


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """A PostgreSQL database. ``None`` leaves the choice to libpq's environment variables and defaults.

    ``pooled``: behind PgBouncer, where a connection is another one in the next statement.
    """

    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    ssl: str | None = None
    server_settings: dict[str, str] = field(default_factory=dict)
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A SQLite file."""

    path: str


Address = PostgresAddress | SqliteAddress


def parse(url: str) -> Address:
    """Return the address that ``url`` names. Raises ValueError, whose message never holds the password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the user store's URL is not a database URL") from None
    if parsed.drivername in POSTGRES:
        return _postgres(parsed)
    if parsed.drivername in SQLITE:
        return _sqlite(parsed)
    raise ValueError(f"the user store's URL is for {parsed.drivername}; it can be PostgreSQL or SQLite")


def _postgres(url: URL) -> PostgresAddress:
    query = {name: _single(name, value) for name, value in url.query.items() if name not in FOREIGN}
    ssl = query.pop("sslmode", query.pop("ssl", None))
    if ssl is not None and ssl not in SSL_MODES:
        raise ValueError(f"the user store's sslmode can be one of {', '.join(sorted(SSL_MODES))}")
    settings = {}
    if schema := query.pop("schema", None):
        settings["search_path"] = '"{}"'.format(schema.replace('"', '""'))
    if application := query.pop("application_name", None):
        settings["application_name"] = application
    host = query.pop("host", None) or url.host
    pooled = query.pop("pgbouncer", "false").lower() == "true"
    if query:
        raise ValueError(f"the user store's URL has parameters that mean nothing here: {', '.join(sorted(query))}")
    return PostgresAddress(host, url.port, url.username, url.password, url.database, ssl, settings, pooled)


def _sqlite(url: URL) -> SqliteAddress:
    if not url.database or url.database == ":memory:" or url.host:
        raise ValueError("the user store's URL names no SQLite file (sqlite:///file.db)")
    return SqliteAddress(url.database)


def _single(name: str, value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"the user store's URL gives {name} more than once")

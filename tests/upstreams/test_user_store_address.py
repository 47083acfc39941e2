"""A database URL, as its many writers write it, and what the gateway makes of it."""

import pytest

from upstreams.user_store import UserStore
from upstreams.user_store.address import Address, PostgresAddress, SqliteAddress, parse

HERE = {"host": "db.example", "port": 5432, "user": "ada", "password": "pw", "database": "platform"}


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgres://ada:pw@db.example:5432/platform", PostgresAddress(**HERE)),
        ("postgresql://ada:pw@db.example:5432/platform", PostgresAddress(**HERE)),
        ("postgresql+asyncpg://ada:pw@db.example:5432/platform", PostgresAddress(**HERE)),
        ("postgresql://ada:pw@db.example:5432/platform?sslmode=disable", PostgresAddress(**HERE, ssl="disable")),
        ("postgresql://ada:pw@db.example:5432/platform?sslmode=prefer", PostgresAddress(**HERE, ssl="prefer")),
        ("postgresql://ada:pw@db.example:5432/platform?ssl=require", PostgresAddress(**HERE, ssl="require")),
        (
            "postgresql://ada:pw@db.example:5432/platform?sslmode=verify-full&channel_binding=require",
            PostgresAddress(**HERE, ssl="verify-full"),
        ),
        (
            "postgresql://ada:pw@db.example:5432/platform?schema=public&application_name=web",
            PostgresAddress(**HERE, server_settings={"search_path": '"public"', "application_name": "web"}),
        ),
        (
            "postgresql://ada:pw@db.example:5432/platform"
            "?connection_limit=5&pool_timeout=2&pgbouncer=true&connect_timeout=3&socket_timeout=4",
            PostgresAddress(**HERE, pooled=True),
        ),
        ("postgresql:///platform?host=/run/postgresql", PostgresAddress("/run/postgresql", database="platform")),
        ("postgresql://ada:p%40%2Fw@[::1]/platform", PostgresAddress("::1", None, "ada", "p@/w", "platform")),
        ("sqlite:///demo.db", SqliteAddress("demo.db")),
        ("sqlite+aiosqlite:///demo.db", SqliteAddress("demo.db")),
        ("sqlite:////srv/demo.db", SqliteAddress("/srv/demo.db")),
    ],
)
def test_url_names_an_address(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "mysql://ada:secret@db.example/platform",
        "postgresql+psycopg://ada:secret@db.example/platform",
        "postgresql://ada:secret@db.example:port/platform",
        "postgresql://ada:secret@db.example/platform?sslmode=secret",
        "postgresql://ada:secret@db.example/platform?sslmod=disable",
        "postgresql://ada:secret@db.example/platform?schema=secret&schema=b",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://secret/demo.db",
    ],
)
def test_wrong_url_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"^the user store's ") as refused:
        UserStore(url)
    assert "secret" not in str(refused.value)


def test_password_is_not_shown() -> None:
    assert "pw" not in repr(parse("postgresql://ada:pw@db.example/platform"))

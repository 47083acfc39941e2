from collections.abc import Iterator

import pytest

from tests.contract.database import PostgresStore
from tests.contract.process import Launcher
from tests.servers import PostgresServer


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with Launcher.open() as launcher:
        yield launcher


@pytest.fixture(scope="session")
def postgres_store(postgres_server: PostgresServer) -> PostgresStore:
    return PostgresStore(postgres_server.url)

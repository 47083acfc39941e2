from collections.abc import Iterator

import pytest

from tests.contract.database import PostgresStore
from tests.forks import Forks
from tests.servers import PostgresServer


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks.open() as forks:
        yield forks


@pytest.fixture(scope="session")
def postgres_store(postgres_server: PostgresServer) -> Iterator[PostgresStore]:
    with PostgresStore.open(postgres_server.url) as store:
        yield store

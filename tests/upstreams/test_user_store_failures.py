"""Given what befalls the database or the caller, the user store fails so, and recovers."""

import asyncio
import random
import socket
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.conftest import OpenStore
from tests.servers import PostgresServer
from tests.stores import (
    EVERY_METHOD,
    Ask,
    Database,
    reason_of,
    user_row,
)
from upstreams.failure import Reason
from upstreams.user_store import (
    UserStore,
    tables,
)

every_method = pytest.mark.parametrize("ask", EVERY_METHOD.values(), ids=EVERY_METHOD)


class TestSchema:
    async def test_that_is_complete_passes(self, store: UserStore) -> None:
        await store.check_schema()

    @pytest.mark.parametrize(
        "change", ['DROP TABLE "UserSetting"', 'ALTER TABLE "Agent" DROP COLUMN tier', 'DROP TABLE "Session"']
    )
    async def test_that_lacks_something_is_malformed(
        self, database: Database, store: UserStore, change: str
    ) -> None:
        await database.run(change)

        assert await reason_of(store.check_schema()) is Reason.MALFORMED

    @pytest.mark.parametrize("name", ["session", "account", "dashboard", "bootstrap", "inventory", "summary"])
    async def test_that_lacks_a_table_fails_the_statement_and_no_other(
        self, database: Database, store: UserStore, name: str
    ) -> None:
        await database.run('DROP TABLE "Agent"')

        assert await reason_of(EVERY_METHOD[name](store)) is Reason.MALFORMED
        await store.ping()


class TestFailing:
    @every_method
    async def test_server_that_hangs_times_out_and_recovers(
        self,
        postgres: Database,
        postgres_server: PostgresServer,
        open_store: OpenStore,
        ask: Ask,
    ) -> None:
        store = open_store(postgres.url, statement_timeout=0.2, pool_wait=0.1)
        await store.ping()
        with postgres_server.hung():
            # The first has an open connection, the second must open one.
            for _ in range(2):
                started = time.monotonic()
                assert await reason_of(ask(store)) is Reason.TIMEOUT
                assert time.monotonic() - started < 0.5
        await ask(store)

    async def test_queue_for_a_connection_tells_how_long_its_first_has_waited(
        self, postgres: Database, open_store: OpenStore
    ) -> None:
        store = open_store(postgres.url, pool_size=1, pool_wait=5)
        assert store.delay == 0.0
        slow = asyncio.create_task(store._database.pool.fetch("SELECT pg_sleep(0.3)", ()))
        await asyncio.sleep(0)
        assert store.delay == 0.0
        since = time.monotonic()
        quick = [asyncio.create_task(store.ping()) for _ in range(3)]
        while store.delay < 0.1:
            await asyncio.sleep(0.01)
            assert store.delay <= time.monotonic() - since

        await asyncio.gather(slow, *quick)

        assert store.delay == 0.0

    async def test_who_left_the_queue_is_not_its_first(self, postgres: Database, open_store: OpenStore) -> None:
        store = open_store(postgres.url, pool_size=1, pool_wait=5)
        slow = asyncio.create_task(store._database.pool.fetch("SELECT pg_sleep(0.2)", ()))
        await asyncio.sleep(0)
        gone = asyncio.create_task(store.ping())
        await asyncio.sleep(0)

        gone.cancel()
        await asyncio.wait([gone])

        assert store.delay == 0.0
        await slow

    async def test_full_pool_of_a_hung_server_is_saturated(
        self, postgres: Database, postgres_server: PostgresServer, open_store: OpenStore
    ) -> None:
        store = open_store(postgres.url, pool_size=2, statement_timeout=0.4, pool_wait=0.1)
        with postgres_server.hung():
            reasons = await asyncio.gather(*(reason_of(store.ping()) for _ in range(5)))
        assert Counter(reasons) == {Reason.TIMEOUT: 2, Reason.SATURATED: 3}
        await store.ping()

    async def test_server_that_is_gone_refuses_until_it_is_back(
        self, postgres: Database, postgres_server: PostgresServer, open_store: OpenStore
    ) -> None:
        store = open_store(postgres.url)
        await asyncio.gather(*(store.ping() for _ in range(5)))
        postgres_server.stop()
        try:
            assert await reason_of(store.ping()) in {Reason.RESET, Reason.REFUSED}
            assert await reason_of(store.account("u")) in {Reason.RESET, Reason.REFUSED}
        finally:
            postgres_server.start()
        assert await store.account("u") is None

    async def test_connection_that_is_lost_is_reset(self, postgres: Database, open_store: OpenStore) -> None:
        store = open_store(postgres.url, statement_timeout=5)
        asking = asyncio.create_task(store._database.pool.fetch("SELECT pg_sleep(5)", ()))
        while not asking.done():
            await postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(5)'"
            )
        assert await reason_of(asking) is Reason.RESET
        await store.ping()

    async def test_connection_that_closes_between_statements_is_reset(
        self, postgres: Database, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_store(postgres.url)

        async def close_it(connection: Any) -> None:
            connection.terminate()

        monkeypatch.setattr(store._database.pool._driver, "begin", close_it)
        assert await reason_of(store._database.pool.transact([("SELECT 1", ())])) is Reason.RESET
        await store.ping()

    async def test_slow_statement_is_ended_by_the_server_too(
        self, postgres: Database, open_store: OpenStore
    ) -> None:
        store = open_store(postgres.url, statement_timeout=0.1)

        assert await reason_of(store._database.pool.fetch("SELECT pg_sleep(9)", ())) is Reason.TIMEOUT
        assert [list(row) for row in await store._database.pool.fetch("SHOW statement_timeout", ())] == [["100ms"]]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"host": "127.0.0.1", "port": 1}, Reason.REFUSED),
            ({"database": "missing"}, Reason.REFUSED),
            ({"username": "nobody-we-know"}, Reason.REFUSED),
            ({"query": {"sslmode": "require"}}, Reason.REFUSED),
        ],
    )
    async def test_wrong_address_is_told_apart(
        self,
        postgres_server: PostgresServer,
        open_store: OpenStore,
        change: dict[str, Any],
        reason: Reason,
    ) -> None:
        url = make_url(postgres_server.url).set(**change).render_as_string(hide_password=False)

        assert await reason_of(open_store(url).ping()) is reason

    async def test_name_that_does_not_resolve_is_dns(
        self, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        store = open_store("postgresql://user@database.invalid/platform")

        assert await reason_of(store.ping()) is Reason.DNS


class TestCancelling:
    async def test_never_hands_one_users_rows_to_another(self, database: Database, open_store: OpenStore) -> None:
        users = [f"user-{number}" for number in range(50)]
        await database.add(tables.user, *map(user_row, users))
        store, dice = open_store(database.url, pool_size=4, pool_wait=30), random.Random(11)

        async def ask(user: str) -> None:
            account = await store.account(user)
            assert account is not None
            assert account.user_id == user

        asked = [asyncio.create_task(ask(dice.choice(users))) for _ in range(1000)]
        for task in dice.sample(asked, 500):
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            task.cancel()
        ended = await asyncio.gather(*asked, return_exceptions=True)

        assert {type(answer) for answer in ended} <= {type(None), asyncio.CancelledError}
        await asyncio.gather(*map(ask, users))

    async def test_leaves_every_connection_to_the_others(self, database: Database, open_store: OpenStore) -> None:
        store = open_store(database.url, pool_size=2, pool_wait=5)
        for _ in range(20):
            asked = [asyncio.create_task(store.ping()) for _ in range(6)]
            await asyncio.sleep(0)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

        await asyncio.gather(*(store.ping() for _ in range(10)))

    async def test_leaves_nothing_running(self, database: Database) -> None:
        store = UserStore(database.url)
        asked = [asyncio.create_task(store.ping()) for _ in range(5)]
        await asyncio.sleep(0)
        asked.pop().cancel()
        await asyncio.gather(*asked)
        await store.close()

        assert asyncio.all_tasks() == {asyncio.current_task()}

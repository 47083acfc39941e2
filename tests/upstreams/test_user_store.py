"""Given what the platform's database holds, the user store returns this; given what befalls it, it fails so."""

import asyncio
import random
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.servers import PostgresServer
from tests.stores import (
    Database,
    agent_row,
    empty_store,
    installed_row,
    naive,
    referral_row,
    session_row,
    skill_row,
    task_row,
    user_row,
    utc,
)
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import (
    Account,
    AgentRow,
    Bootstrap,
    Counts,
    Dashboard,
    ExpiringTrial,
    MonthActivity,
    SessionOwner,
    UserStore,
    tables,
)

NOW = utc(2026, 4, 4, 12)
TODAY = utc(2026, 4, 4)
SINCE = utc(2025, 4, 4, 12)
OLD = utc(2020, 1, 1)

Ask = Callable[[UserStore], Awaitable[Any]]

EVERY_METHOD: dict[str, Ask] = {
    "session": lambda store: store.session("t", NOW),
    "account": lambda store: store.account("u"),
    "dashboard": lambda store: store.dashboard("u"),
    "bootstrap": lambda store: store.bootstrap("u"),
    "inventory": lambda store: store.inventory("u", SINCE, NOW),
    "subscription": lambda store: store.subscription("u"),
    "counts": lambda store: store.counts("u", TODAY),
    "summary": lambda store: store.summary(NOW),
    "ping": lambda store: store.ping(),
    "check_schema": lambda store: store.check_schema(),
}
every_method = pytest.mark.parametrize("ask", EVERY_METHOD.values(), ids=EVERY_METHOD)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[UserStore]:
    store = UserStore(database.url)
    yield store
    await store.close()


@pytest.fixture
async def postgres(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    async with empty_store(postgres_server.url) as database:
        yield database


@pytest.fixture
async def closing_later() -> AsyncIterator[Callable[[UserStore], UserStore]]:
    """Close at the end the stores that a test makes itself."""
    async with AsyncExitStack() as stack:

        def close_later(store: UserStore) -> UserStore:
            stack.push_async_callback(store.close)
            return store

        yield close_later


async def reason_of(answer: Awaitable[Any]) -> Reason:
    with pytest.raises(UpstreamFailure) as caught:
        await answer
    assert caught.value.upstream == "user_store"
    assert str(caught.value) == f"user_store: {caught.value.reason}"
    return caught.value.reason


class TestSession:
    async def test_is_its_owners(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada", openclawUrl="https://ada.example"), user_row("bob"))
        await database.add(tables.session, session_row("a", "ada", utc(2026, 5, 1)))
        await database.add(tables.session, session_row("b", "bob", utc(2026, 5, 2)))
        await database.add(tables.agent_registration, {"user_id": "bob", "gateway_token": "bobs"})

        assert await store.session("a", NOW) == SessionOwner(
            Account("ada", "ada@example.com", "https://ada.example", None), utc(2026, 5, 1)
        )
        assert await store.session("b", NOW) == SessionOwner(
            Account("bob", "bob@example.com", None, "bobs"), utc(2026, 5, 2)
        )

    async def test_of_an_owner_missing_from_the_users_is_still_someones(
        self, database: Database, store: UserStore
    ) -> None:
        await database.add(tables.session, session_row("t", "ghost", utc(2026, 5, 1)))

        assert await store.session("t", NOW) == SessionOwner(Account("ghost"), utc(2026, 5, 1))

    @pytest.mark.parametrize("token", ["", "unknown", "T", "t ", "t\0", "\ud800", "' OR '1'='1"])
    async def test_is_nobodys_when_unknown(self, database: Database, store: UserStore, token: str) -> None:
        await database.add(tables.session, session_row("t", "ada", utc(2026, 5, 1)))

        assert await store.session(token, NOW) is None

    @pytest.mark.parametrize(("left", "valid"), [(-1, False), (0, False), (1, True)])
    async def test_ends_when_it_expires(
        self, database: Database, store: UserStore, left: int, valid: bool
    ) -> None:
        await database.add(tables.session, session_row("t", "ada", NOW + timedelta(milliseconds=left)))

        assert (await store.session("t", NOW) is not None) == valid

    async def test_may_be_asked_for_in_any_zone(self, database: Database, store: UserStore) -> None:
        await database.add(tables.session, session_row("t", "ada", NOW))
        elsewhere = datetime.fromisoformat("2026-04-04T13:59:59+02:00")

        assert await store.session("t", elsewhere) == SessionOwner(Account("ada"), NOW)
        assert await store.session("t", elsewhere + timedelta(seconds=1)) is None


class TestTheUsersAgent:
    @pytest.mark.parametrize(
        ("instance", "agents", "shown"),
        [
            (None, [], None),
            (None, [("a", 1), ("b", 2)], "b"),
            (None, [("b", 2), ("a", 1)], "b"),
            (None, [("a", 1), ("b", 1)], "b"),
            ("", [("a", 1), ("b", 2)], "b"),
            ("a", [("a", 1), ("b", 2)], "a"),
            ("unknown", [("a", 1), ("b", 2)], "b"),
            ("other", [("a", 1), ("b", 2)], "b"),
            ("other", [], None),
        ],
    )
    async def test_is_the_named_one_of_the_own_else_the_newest(
        self,
        database: Database,
        store: UserStore,
        instance: str | None,
        agents: list[tuple[str, int]],
        shown: str | None,
    ) -> None:
        await database.add(tables.user, user_row("ada", openclawInstanceId=instance), user_row("bob"))
        await database.add(tables.agent, agent_row("other", "bob", createdAt=utc(2026, 3, 30)))
        for agent_id, day in agents:
            await database.add(tables.agent, agent_row(agent_id, "ada", createdAt=utc(2026, 3, day)))

        dashboard = await store.dashboard("ada")

        assert dashboard is not None
        assert dashboard.agent == (shown and AgentRow(shown, "active", shown, None))
        assert dashboard.openclaw_instance_id == (instance or None)

    @pytest.mark.parametrize(
        ("config", "registered", "token"),
        [
            (None, None, None),
            (None, "registered", "registered"),
            ({"gatewayToken": "own"}, None, "own"),
            ({"gatewayToken": "own"}, "registered", "own"),
            ({"gatewayToken": 'quoted " and \\ and é \u2603'}, None, 'quoted " and \\ and é \u2603'),
            ({"gatewayToken": ""}, "registered", "registered"),
            ({"gatewayToken": ""}, "", None),
            ({"gatewayToken": None}, "registered", "registered"),
            ({"gatewayToken": 7}, "registered", "registered"),
            ({"gatewayToken": {"a": "b"}}, "registered", "registered"),
            ({"nested": {"gatewayToken": "no"}}, "registered", "registered"),
            ([{"gatewayToken": "no"}], "registered", "registered"),
            ("text", "registered", "registered"),
            (5, "registered", "registered"),
        ],
    )
    async def test_has_the_token_of_its_configuration_else_the_registered(
        self, database: Database, store: UserStore, config: Any, registered: str | None, token: str | None
    ) -> None:
        await database.add(tables.user, user_row("ada"))
        await database.add(tables.agent, agent_row("a", "ada", config=config))
        await database.add(tables.agent_registration, {"user_id": "ada", "gateway_token": registered})
        await database.add(tables.session, session_row("t", "ada", utc(2026, 5, 1)))

        session, account = await store.session("t", NOW), await store.account("ada")
        dashboard, bootstrap = await store.dashboard("ada"), await store.bootstrap("ada")

        assert session and account and dashboard and bootstrap
        assert account == session.account
        assert account.gateway_token == dashboard.gateway_token == bootstrap.gateway_token == token
        assert not token or token not in repr((session, account, dashboard, bootstrap))


class TestOneUser:
    @pytest.mark.parametrize("name", ["account", "dashboard", "bootstrap", "inventory", "subscription", "counts"])
    async def test_who_is_missing_has_nothing(self, database: Database, store: UserStore, name: str) -> None:
        await database.add(tables.agent, agent_row("a", "u"))
        await database.add(tables.scheduled_task, task_row("u"))

        assert await EVERY_METHOD[name](store) is None

    async def test_who_has_set_everything(self, database: Database, store: UserStore) -> None:
        await database.add(
            tables.user,
            user_row(
                "ada",
                plan="label",
                openclawUrl="https://ada.example",
                openclawInstanceId="a",
                referralCode="REF_ada",
                referralCredits=10,
            ),
        )
        await database.add(tables.agent, agent_row("a", "ada", name="my-agent", status="running", tier="pro"))
        await database.add(tables.referral, *(referral_row("ada") for _ in range(3)), referral_row("bob"))

        assert await store.account("ada") == Account("ada", "ada@example.com", "https://ada.example", None)
        assert await store.dashboard("ada") == Dashboard(
            "ada", 10, "label", "https://ada.example", "a", None, AgentRow("a", "running", "my-agent", "pro")
        )
        assert await store.bootstrap("ada") == Bootstrap(
            10, "REF_ada", 3, "label", "https://ada.example", "a", None
        )

    async def test_who_has_set_nothing(self, database: Database, store: UserStore) -> None:
        empty = user_row("ada", email=None, plan=None, openclawUrl="", referralCredits=None)
        await database.add(tables.user, empty)

        assert await store.account("ada") == Account("ada")
        assert await store.dashboard("ada") == Dashboard("ada", 0, None, None, None, None, None)
        assert await store.bootstrap("ada") == Bootstrap(0, None, 0, None, None, None, None)
        assert await store.counts("ada", TODAY) == Counts(None, 0, 0, 0, 0, 0)
        inventory = await store.inventory("ada", SINCE, NOW)
        assert inventory is not None
        assert (inventory.agents_total, inventory.trend, inventory.top_skills) == (0, (), ())

    async def test_shares_a_plan_among_the_live_agents_oldest_first(
        self, database: Database, store: UserStore
    ) -> None:
        await database.add(tables.user, user_row("ada", plan="pro"), user_row("bob"))
        for number, status in enumerate(["running", "active", "stopped", "error", "active"]):
            await database.add(
                tables.agent, agent_row(f"a{number}", "ada", status=status, createdAt=utc(2026, 3, 9 - number))
            )

        subscription = await store.subscription("ada")
        without_agents = await store.subscription("bob")

        assert subscription and without_agents
        assert (subscription.plan, subscription.agent_count, subscription.active_agents) == ("pro", 5, 3)
        assert subscription.live_agents == (("a4", "a4"), ("a1", "a1"), ("a0", "a0"))
        assert (without_agents.agent_count, without_agents.live_agents) == (0, ())

    async def test_counts(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada", plan="pro"))
        await database.add(
            tables.agent,
            agent_row("new", "ada", createdAt=TODAY),
            agent_row("old", "ada", createdAt=TODAY - timedelta(milliseconds=1)),
            agent_row("running", "ada", status="running", createdAt=OLD),
        )
        await database.add(tables.skill, skill_row("s"))
        await database.add(
            tables.installed_skill, installed_row("ada", "s"), installed_row("ada", "s", enabled=False)
        )
        await database.add(tables.scheduled_task, task_row("ada"))

        assert await store.counts("ada", TODAY) == Counts("pro", 2, 3, 1, 2, 1)


class TestInventory:
    async def test_counts_by_month_what_came_in_the_range(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        moments = [OLD, SINCE - timedelta(milliseconds=1), SINCE, utc(2026, 1, 31, 23), utc(2026, 2, 1), NOW]
        for number, moment in enumerate([*moments, NOW + timedelta(milliseconds=1)]):
            await database.add(tables.agent, agent_row(f"a{number}", "ada", createdAt=moment))
            await database.add(tables.scheduled_task, task_row("ada", moment))
        await database.add(tables.skill, skill_row("s"))
        await database.add(
            tables.installed_skill,
            installed_row("ada", "s", at=utc(2025, 12, 31, 23)),
            installed_row("ada", "s", at=utc(2026, 1, 1), enabled=False),
            installed_row("ada", "s", at=OLD),
        )

        inventory = await store.inventory("ada", SINCE, NOW)

        assert inventory is not None
        assert inventory.trend == (
            MonthActivity(2025 * 12 + 3, 1, 0, 1),
            MonthActivity(2025 * 12 + 11, 0, 1, 0),
            MonthActivity(2026 * 12, 1, 1, 1),
            MonthActivity(2026 * 12 + 1, 1, 0, 1),
            MonthActivity(2026 * 12 + 3, 1, 0, 1),
        )
        assert (inventory.agents_total, inventory.tasks_total, inventory.skills_enabled) == (7, 7, 2)

    async def test_names_the_six_most_installed_skills(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        names = ["mail", "chart", "alarm", "weather", "notes", "maps", "zebra", "off"]
        await database.add(tables.skill, *map(skill_row, names))
        installs = {"weather": 3, "zebra": 1, "mail": 2, "chart": 2, "alarm": 1, "notes": 1, "maps": 1}
        for name, number in installs.items():
            await database.add(tables.installed_skill, *(installed_row("ada", name) for _ in range(number)))
        disabled = [installed_row("ada", "off", enabled=False) for _ in range(9)]
        await database.add(tables.installed_skill, *disabled)

        inventory = await store.inventory("ada", SINCE, NOW)

        assert inventory is not None
        assert inventory.top_skills == (
            ("weather", 3),
            ("chart", 2),
            ("mail", 2),
            ("alarm", 1),
            ("maps", 1),
            ("notes", 1),
        )
        assert inventory.skills_enabled == 11

    async def test_of_ten_thousand_agents_is_counted_by_the_database(
        self, database: Database, store: UserStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await database.add(tables.user, user_row("ada"))
        moments = [NOW - timedelta(days=30 * number) for number in range(20)]
        agents = [agent_row(f"a{n}", "ada", createdAt=moments[n % 20]) for n in range(10_000)]
        await database.add(tables.agent, *agents)
        await database.add(tables.skill, *(skill_row(f"s{n:02}") for n in range(40)))
        skills = [
            installed_row("ada", f"s{n % 40:02}", enabled=n % 5 > 0, at=moments[n % 20]) for n in range(50_000)
        ]
        await database.add(tables.installed_skill, *skills)
        returned: list[int] = []
        fetch = store._pool.fetch

        async def counted(*arguments: Any) -> Any:
            rows = await fetch(*arguments)
            returned.append(len(rows))
            return rows

        monkeypatch.setattr(store._pool, "fetch", counted)
        inventory, counts = await store.inventory("ada", SINCE, NOW), await store.counts("ada", TODAY)

        assert inventory and counts
        assert (inventory.agents_total, inventory.agents_live, inventory.skills_enabled) == (
            10_000,
            10_000,
            40_000,
        )
        assert sum(month.deployments for month in inventory.trend) == 13 * 500
        assert sum(month.skills for month in inventory.trend) == 13 * 2_500
        assert inventory.top_skills == tuple((f"s{n:02}", 1_250) for n in (1, 2, 3, 4, 6, 7))
        assert (counts.total, counts.skills_installed) == (10_000, 50_000)
        assert max(returned) < 48

    async def test_of_many_users_is_each_ones_own(self, database: Database, store: UserStore) -> None:
        dice = random.Random(7)
        users = [f"user-{number}" for number in range(20)]
        owners = {kind: dice.choices(users, k=120) for kind in ("agents", "skills", "tasks")}
        await database.add(tables.user, *map(user_row, users))
        await database.add(tables.skill, skill_row("s"))
        await database.add(tables.agent, *(agent_row(f"a{n}", u) for n, u in enumerate(owners["agents"])))
        await database.add(tables.installed_skill, *(installed_row(u, "s") for u in owners["skills"]))
        await database.add(tables.scheduled_task, *(task_row(u) for u in owners["tasks"]))
        expected = {kind: Counter(names) for kind, names in owners.items()}

        answers = await asyncio.gather(*(store.inventory(user, SINCE, NOW) for user in users))

        for user, inventory in zip(users, answers, strict=True):
            assert inventory is not None
            found = (inventory.agents_total, inventory.skills_enabled, inventory.tasks_total)
            assert found == tuple(expected[kind][user] for kind in ("agents", "skills", "tasks"))


class TestSummary:
    async def test_of_an_empty_platform(self, store: UserStore) -> None:
        summary = await store.summary(NOW)

        assert (summary.active_trials, summary.expiring, summary.totals, summary.recent_errors) == (0, (), {}, ())

    async def test_counts_trials_on_the_free_plan(self, database: Database, store: UserStore) -> None:
        later, soon = NOW + timedelta(days=9), NOW + timedelta(days=3)
        trials = [
            ("free", "free", later),
            ("null", None, later),
            ("empty", "", soon),
            ("over", "free", NOW),
            ("paying", "solo", soon),
            ("shouting", "FREE", soon),
            ("never", "free", None),
            ("next", "free", NOW + timedelta(milliseconds=1)),
            ("after", "free", soon + timedelta(milliseconds=1)),
        ]
        rows = [user_row(name, plan=plan, trialEndsAt=ends) for name, plan, ends in trials]
        await database.add(tables.user, *rows)
        await database.run("""UPDATE "User" SET email = NULL WHERE id = 'empty'""")

        summary = await store.summary(NOW)

        assert summary.active_trials == 5
        assert summary.expiring == (
            ExpiringTrial("next", "next@example.com", NOW + timedelta(milliseconds=1)),
            ExpiringTrial("empty", "", soon),
        )

    async def test_names_twelve_trials_and_five_failed_agents_at_most(
        self, database: Database, store: UserStore
    ) -> None:
        hours = list(range(1, 21))
        random.Random(3).shuffle(hours)
        users = [user_row(f"u{hour:02}", plan="free", trialEndsAt=NOW + timedelta(hours=hour)) for hour in hours]
        await database.add(tables.user, *users)
        failed = [
            agent_row(f"a{hour:02}", "u01", status="error", updatedAt=NOW - timedelta(hours=hour))
            for hour in hours
        ]
        await database.add(tables.agent, *failed, agent_row("fine", "u02"), agent_row("odd", "u02", status="odd"))

        summary = await store.summary(NOW)

        assert summary.active_trials == 20
        assert [trial.id for trial in summary.expiring] == [f"u{hour:02}" for hour in range(1, 13)]
        assert summary.totals == {"error": 20, "active": 1, "odd": 1}
        assert [agent.id for agent in summary.recent_errors] == ["a01", "a02", "a03", "a04", "a05"]
        assert summary.recent_errors[0].updated_at == NOW - timedelta(hours=1)


class TestSqlite:
    @pytest.mark.parametrize(
        "form",
        [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%d %H:%M:%S.000",
            "%Y-%m-%d %H:%M:%S.%f",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%dT%H:%M:%S.000Z",
            "%Y-%m-%d %H:%M:%S+00:00",
        ],
    )
    async def test_times_are_read_in_every_form(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore], form: str
    ) -> None:
        async with empty_store(f"sqlite:///{tmp_path / 'store.db'}") as database:
            await database.add(tables.user, user_row("ada", plan="free"))
            await database.add(tables.session, session_row("t", "ada", NOW))
            await database.add(tables.agent, agent_row("a", "ada"))
            ends = f"{naive(NOW):{form}}"
            await database.run("""UPDATE "Session" SET expires = :ends""", ends=ends)
            await database.run("""UPDATE "User" SET "trialEndsAt" = :ends""", ends=ends)
            await database.run("""UPDATE "Agent" SET "createdAt" = :ends""", ends=ends)
            store, second = closing_later(UserStore(database.url)), timedelta(seconds=1)

            assert await store.session("t", NOW - second) == SessionOwner(Account("ada", "ada@example.com"), NOW)
            assert await store.session("t", NOW) is None
            assert (await store.summary(NOW - second)).expiring[0].ends_at == NOW
            assert (await store.summary(NOW)).active_trials == 0
            counts, missed = await store.counts("ada", NOW), await store.counts("ada", NOW + second)
            assert counts and missed
            assert (counts.new_today, missed.new_today) == (1, 0)

    async def test_a_configuration_that_is_not_json_has_no_token(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        async with empty_store(f"sqlite:///{tmp_path / 'store.db'}") as database:
            await database.add(tables.user, user_row("ada"))
            await database.add(tables.agent, agent_row("a", "ada"))
            await database.run("""UPDATE "Agent" SET config = '{"gatewayToken": "cut'""")

            account = await closing_later(UserStore(database.url)).account("ada")

            assert account == Account("ada", "ada@example.com")

    async def test_a_missing_file_is_refused_and_not_made(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        file = tmp_path / "missing.db"
        store = closing_later(UserStore(f"sqlite:///{file}"))

        assert await reason_of(store.ping()) is Reason.REFUSED
        assert not file.exists()

    async def test_a_file_that_is_no_database_is_malformed(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        file = tmp_path / "text.db"
        file.write_text("not a database" * 100)

        assert await reason_of(closing_later(UserStore(f"sqlite:///{file}")).account("u")) is Reason.MALFORMED

    async def test_a_locked_file_times_out(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        async with empty_store(f"sqlite:///{tmp_path / 'store.db'}") as database:
            store = closing_later(UserStore(database.url, statement_timeout=0.1))
            with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                assert await reason_of(store.account("u")) is Reason.TIMEOUT
            assert await store.account("u") is None

    async def test_a_time_that_is_none_is_malformed(
        self, tmp_path: Path, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        async with empty_store(f"sqlite:///{tmp_path / 'store.db'}") as database:
            await database.add(tables.agent, agent_row("a", "ada", status="error"))
            await database.run("""UPDATE "Agent" SET "updatedAt" = 'yesterday'""")

            assert await reason_of(closing_later(UserStore(database.url)).summary(NOW)) is Reason.MALFORMED


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
        closing_later: Callable[[UserStore], UserStore],
        ask: Ask,
    ) -> None:
        store = closing_later(UserStore(postgres.url, statement_timeout=0.2, pool_wait=0.1))
        await store.ping()
        with postgres_server.hung():
            # The first has an open connection, the second must open one.
            for _ in range(2):
                started = time.monotonic()
                assert await reason_of(ask(store)) is Reason.TIMEOUT
                assert time.monotonic() - started < 0.35
        await ask(store)

    async def test_full_pool_of_a_hung_server_is_saturated(
        self, postgres: Database, postgres_server: PostgresServer, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        store = closing_later(UserStore(postgres.url, pool_size=2, statement_timeout=0.4, pool_wait=0.1))
        with postgres_server.hung():
            reasons = await asyncio.gather(*(reason_of(store.ping()) for _ in range(5)))
        assert Counter(reasons) == {Reason.TIMEOUT: 2, Reason.SATURATED: 3}
        await store.ping()

    async def test_server_that_is_gone_refuses_until_it_is_back(
        self, postgres: Database, postgres_server: PostgresServer, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        store = closing_later(UserStore(postgres.url))
        await asyncio.gather(*(store.ping() for _ in range(5)))
        postgres_server.stop()
        try:
            assert await reason_of(store.ping()) in {Reason.RESET, Reason.REFUSED}
            assert await reason_of(store.account("u")) is Reason.REFUSED
        finally:
            postgres_server.start()
        assert await store.account("u") is None

    async def test_connection_that_is_lost_is_reset(
        self, postgres: Database, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        store = closing_later(UserStore(postgres.url, statement_timeout=5))
        asking = asyncio.create_task(store._pool.fetch("SELECT pg_sleep(5)", ()))
        while not asking.done():
            await postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(5)'"
            )
        assert await reason_of(asking) is Reason.RESET
        await store.ping()

    async def test_slow_statement_is_ended_by_the_server_too(
        self, postgres: Database, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        store = closing_later(UserStore(postgres.url, statement_timeout=0.1))

        assert await reason_of(store._pool.fetch("SELECT pg_sleep(9)", ())) is Reason.TIMEOUT
        assert [list(row) for row in await store._pool.fetch("SHOW statement_timeout", ())] == [["100ms"]]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"host": "127.0.0.1", "port": 1}, Reason.REFUSED),
            ({"database": "missing"}, Reason.REFUSED),
            ({"username": "nobody-we-know"}, Reason.REFUSED),
            ({"query": {"sslmode": "require"}}, Reason.TLS),
        ],
    )
    async def test_wrong_address_is_told_apart(
        self,
        postgres_server: PostgresServer,
        closing_later: Callable[[UserStore], UserStore],
        change: dict[str, Any],
        reason: Reason,
    ) -> None:
        url = make_url(postgres_server.url).set(**change).render_as_string(hide_password=False)

        assert await reason_of(closing_later(UserStore(url)).ping()) is reason

    async def test_name_that_does_not_resolve_is_dns(
        self, closing_later: Callable[[UserStore], UserStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        store = closing_later(UserStore("postgresql://user@database.invalid/platform"))

        assert await reason_of(store.ping()) is Reason.DNS


class TestCancelling:
    async def test_never_hands_one_users_rows_to_another(
        self, database: Database, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        users = [f"user-{number}" for number in range(50)]
        await database.add(tables.user, *map(user_row, users))
        store, dice = closing_later(UserStore(database.url, pool_size=4, pool_wait=30)), random.Random(11)

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

    async def test_leaves_every_connection_to_the_others(
        self, database: Database, closing_later: Callable[[UserStore], UserStore]
    ) -> None:
        store = closing_later(UserStore(database.url, pool_size=2, pool_wait=5))
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

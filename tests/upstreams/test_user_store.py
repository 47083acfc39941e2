"""Given what the platform's database holds of a user, the user store returns this."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.stores import (
    EVERY_METHOD,
    NOW,
    SINCE,
    TODAY,
    Database,
    agent_row,
    installed_row,
    referral_row,
    session_row,
    skill_row,
    task_row,
    user_row,
    utc,
)
from upstreams.user_store import (
    Account,
    AgentRow,
    Bootstrap,
    Counts,
    Dashboard,
    SessionOwner,
    UserStore,
    tables,
)

OLD = utc(2020, 1, 1)


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

        assert session
        assert account
        assert dashboard
        assert bootstrap
        assert account == session.account
        assert account.gateway_token == dashboard.gateway_token == bootstrap.gateway_token == token
        assert not token or token not in repr((session, account, dashboard, bootstrap))


class TestOneUser:
    @pytest.mark.parametrize(
        "name",
        ["account", "dashboard", "bootstrap", "inventory", "subscription", "counts", "instance", "standing"],
    )
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

        assert subscription
        assert without_agents
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

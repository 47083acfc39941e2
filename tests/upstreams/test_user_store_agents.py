"""Given what agents the platform's database holds, the user store lists, tells and finishes them so."""

import time
from datetime import datetime, timedelta

import pytest

from tests.stores import ABANDONED, NEW_YEAR, NOW, Database, agent_row, naive, user_row, utc
from upstreams.user_store import AgentRecord, Instance, OwnedAgent, Standing, UserStore, tables

JUST_BEFORE = ABANDONED - timedelta(milliseconds=1)


async def listed(store: UserStore, user_id: str = "ada") -> tuple[AgentRecord, ...]:
    return await store.agents(user_id, now=NOW, abandoned_before=ABANDONED)


class TestListing:
    async def test_of_nobody_is_empty(self, store: UserStore) -> None:
        assert await listed(store) == ()

    async def test_is_newest_first(self, database: Database, store: UserStore) -> None:
        made = utc(2026, 3, 1)
        await database.add(
            tables.agent,
            agent_row("b", "ada", createdAt=made),
            agent_row("c", "ada", createdAt=made),
            agent_row(
                "new", "ada", createdAt=NOW, name="my-agent", model="gpt-4", websocketUrl="ws://gateway/ada"
            ),
            agent_row("old", "ada", createdAt=utc(2020, 1, 1), updatedAt=made, status="error"),
            agent_row("bobs", "bob", createdAt=NOW),
        )

        agents = await listed(store)

        assert [agent.id for agent in agents] == ["new", "c", "b", "old"]
        assert agents[0] == AgentRecord("new", "my-agent", "gpt-4", "active", "ws://gateway/ada", NOW, NOW)
        assert agents[3] == AgentRecord("old", "old", None, "error", None, utc(2020, 1, 1), made)

    @pytest.mark.parametrize(
        ("status", "touched", "shown"),
        [
            ("provisioning", JUST_BEFORE, "error"),
            ("provisioning", ABANDONED, "provisioning"),
            ("provisioning", NOW, "provisioning"),
            ("pending", JUST_BEFORE, "pending"),
            ("running", JUST_BEFORE, "running"),
            ("error", JUST_BEFORE, "error"),
        ],
    )
    async def test_gives_up_what_was_abandoned(
        self, database: Database, store: UserStore, status: str, touched: datetime, shown: str
    ) -> None:
        await database.add(
            tables.agent,
            agent_row("a", "ada", status=status, updatedAt=touched),
            agent_row("bobs", "bob", status="provisioning", updatedAt=JUST_BEFORE),
        )

        (agent,) = await listed(store)

        assert (agent.status, agent.updated_at) == (shown, touched if status == shown else NOW)
        kept, bobs = await database.rows(tables.agent)
        assert (kept["status"], kept["updatedAt"]) == (shown, naive(agent.updated_at))
        assert (bobs["status"], bobs["updatedAt"]) == ("provisioning", naive(JUST_BEFORE))

    async def test_of_ten_thousand_takes_no_time(self, database: Database, store: UserStore) -> None:
        rows = [agent_row(f"a{n:05}", "ada", createdAt=NOW - timedelta(minutes=n)) for n in range(10_000)]
        await database.add(tables.agent, *rows)

        started = time.monotonic()
        agents = await listed(store)

        assert time.monotonic() - started < 1.0
        assert [agent.id for agent in agents] == [row["id"] for row in rows]


class TestOwnedAgent:
    @pytest.mark.parametrize(
        ("agent_id", "owner"),
        [
            ("a", "bob"),
            ("b", "ada"),
            ("", "ada"),
            ("A", "ada"),
            ("%", "ada"),
            ("_", "ada"),
            ("a ", "ada"),
            ("a", ""),
        ],
    )
    async def test_is_nobody_elses(self, database: Database, store: UserStore, agent_id: str, owner: str) -> None:
        await database.add(tables.agent, agent_row("a", "ada"), agent_row("b", "bob"))

        assert await store.owned_agent(owner, agent_id) is None

    async def test_is_its_owners(self, database: Database, store: UserStore) -> None:
        await database.add(tables.agent, agent_row("a", "ada", name="my-agent", model="gpt-4", status="stopped"))

        assert await store.owned_agent("ada", "a") == OwnedAgent("a", "my-agent", "gpt-4", "stopped")


class TestInstance:
    @pytest.mark.parametrize(
        ("named", "agents", "instance"),
        [
            (None, [], Instance(None, "pro", None, None)),
            ("", [], Instance(None, "pro", None, None)),
            ("external", [], Instance("external", "pro", None, None)),
            (None, ["a", "b"], Instance("b", "pro", "model-b", "status-b")),
            ("", ["a", "b"], Instance("b", "pro", "model-b", "status-b")),
            ("a", ["a", "b"], Instance("a", "pro", "model-a", "status-a")),
            ("external", ["a"], Instance("external", "pro", "model-a", "status-a")),
            ("bobs", ["a"], Instance("a", "pro", "model-a", "status-a")),
            ("bobs", [], Instance(None, "pro", None, None)),
        ],
    )
    async def test_is_the_set_one_else_the_shown_agent(
        self, database: Database, store: UserStore, named: str | None, agents: list[str], instance: Instance
    ) -> None:
        await database.add(tables.user, user_row("ada", plan="pro", openclawInstanceId=named), user_row("bob"))
        await database.add(tables.agent, agent_row("bobs", "bob", createdAt=NOW))
        for day, agent_id in enumerate(agents, start=1):
            words = {"model": f"model-{agent_id}", "status": f"status-{agent_id}"}
            await database.add(tables.agent, agent_row(agent_id, "ada", createdAt=utc(2026, 3, day), **words))

        assert await store.instance("ada") == instance


class TestStanding:
    @pytest.mark.parametrize(
        ("fields", "standing"),
        [
            ({"plan": None}, Standing(None, None, None, 0)),
            ({"plan": "pro", "subscriptionStatus": "active"}, Standing("pro", "active", None, 0)),
            ({"plan": "free", "trialEndsAt": NOW}, Standing("free", None, NOW, 0)),
        ],
    )
    async def test_tells_the_subscription(
        self, database: Database, store: UserStore, fields: dict[str, object], standing: Standing
    ) -> None:
        await database.add(tables.user, user_row("ada", **fields))

        assert await store.standing("ada") == standing

    async def test_counts_the_agents_that_have_not_failed(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"), user_row("bob"))
        statuses = ["pending", "provisioning", "active", "running", "stopped", "error", "error", "odd"]
        rows = [agent_row(f"a{n}", "ada", status=status) for n, status in enumerate(statuses)]
        await database.add(tables.agent, *rows, agent_row("bobs", "bob"))

        standing = await store.standing("ada")

        assert standing is not None
        assert standing.agents == 6


class TestFinishing:
    @pytest.mark.parametrize(
        ("status", "url", "was"),
        [
            ("running", "ws://gateway/agent/ada", "provisioning"),
            ("running", None, "provisioning"),
            ("error", None, "provisioning"),
            ("running", "ws://gateway/agent/ada", "running"),
            ("error", None, "error"),
        ],
    )
    async def test_keeps_how_provisioning_ended(
        self, database: Database, store: UserStore, status: str, url: str | None, was: str
    ) -> None:
        await database.add(tables.agent, agent_row("a", "ada", status=was), agent_row("b", "ada", status=was))

        assert await store.finish_agent("a", "ada", status=status, websocket_url=url, now=NOW)

        a, b = await database.rows(tables.agent)
        assert (a["status"], a["websocketUrl"], a["updatedAt"]) == (status, url, naive(NOW))
        assert (b["status"], b["websocketUrl"], b["updatedAt"]) == (was, None, naive(NEW_YEAR))
        assert a["createdAt"] == naive(NEW_YEAR)

    @pytest.mark.parametrize(
        ("agent_id", "owner", "was"),
        [
            ("a", "ada", "error"),
            ("a", "ada", "stopped"),
            ("a", "bob", "provisioning"),
            ("%", "ada", "provisioning"),
            ("missing", "ada", "provisioning"),
        ],
    )
    async def test_leaves_what_is_not_being_provisioned(
        self, database: Database, store: UserStore, agent_id: str, owner: str, was: str
    ) -> None:
        await database.add(tables.agent, agent_row("a", "ada", status=was))
        before = await database.rows(tables.agent)

        assert not await store.finish_agent(agent_id, owner, status="running", websocket_url="ws://x", now=NOW)

        assert await database.rows(tables.agent) == before

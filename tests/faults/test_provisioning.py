"""Provisioning in a crowd and in trouble: no agent too many, none twice, none that waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from tests.e2e.process import Serving, serving
from tests.faults.deployments import (
    ADMIN_EMAIL,
    Caller,
    Deployments,
    add_user,
    agents,
    http,
    let_time_pass,
    provisioning,
)
from tests.faults.proxy import proxy
from tests.faults.rig import until
from tests.stores import Database, agent_row
from upstreams.user_store import tables

CROWD = 50
Processes = Callable[[dict[str, Any]], Awaitable[Serving]]

each_limit = pytest.mark.parametrize(("plan", "limit"), [("starter", 1), ("pro", 3)])


@pytest.fixture
async def gateway() -> AsyncIterator[Deployments]:
    async with Deployments() as deployments:
        yield deployments


@pytest.fixture
async def processes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Processes]:
    """Start ``bff serve`` with some settings; all of them end with the test."""
    async with AsyncExitStack() as stack:
        yield lambda settings: stack.enter_async_context(serving(settings, tmp_path_factory.mktemp("process")))


async def _assert_exactly(
    limit: int, answers: list[httpx.Response], database: Database, gateway: Deployments
) -> None:
    refused = [answer.json() for answer in answers if answer.status_code != 201]
    made = sorted(answer.json()["agent"]["id"] for answer in answers if answer.status_code == 201)
    rows = await agents(database)

    assert len(made) == limit
    assert refused == [{"error": "Agent limit reached for your plan", "current": limit, "limit": limit}] * (
        len(answers) - limit
    )
    assert [(row["id"], row["status"]) for row in rows] == [(agent, "running") for agent in made]
    assert sorted(gateway.heard) == made


@each_limit
async def test_a_crowd_gets_as_many_agents_as_the_plan_has(
    plan: str, limit: int, database: Database, gateway: Deployments
) -> None:
    await add_user(database, plan=plan)
    async with provisioning(database.url, gateway) as user:
        answers = await asyncio.gather(*(user.provision(name=f"n{number}") for number in range(CROWD)))

    await _assert_exactly(limit, answers, database, gateway)


@each_limit
async def test_a_crowd_at_two_processes_gets_as_many_agents_as_the_plan_has(
    plan: str, limit: int, postgres: Database, gateway: Deployments, processes: Processes
) -> None:
    await add_user(postgres, plan=plan)
    settings = gateway.settings(postgres.url)
    async with http() as client:
        users = [Caller(client, (await processes(settings)).public, "u") for _ in range(2)]
        answers = await asyncio.gather(*(user.provision() for _ in range(CROWD // 2) for user in users))

    await _assert_exactly(limit, answers, postgres, gateway)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"plan": "starter"}, 1),
        ({"plan": "pro"}, 3),
        ({"plan": "enterprise"}, 100),
        ({"plan": "free"}, 1),
        ({"plan": "bespoke"}, 1),
        ({"plan": None}, 1),
        ({"plan": None, "subscriptionStatus": None, "email": ADMIN_EMAIL}, 999),
    ],
    ids=["starter", "pro", "enterprise", "free", "unknown", "none", "admin"],
)
async def test_the_limit_of_each_plan(
    fields: dict[str, Any], limit: int, sqlite: Database, gateway: Deployments
) -> None:
    await add_user(sqlite, **fields)
    rows = [agent_row(f"a{number}", "u", status="stopped") for number in range(1, limit)]
    await sqlite.add(tables.agent, agent_row("failed", "u", status="error"), *rows)
    async with provisioning(sqlite.url, gateway) as user:
        last, beyond = await user.provision(), await user.provision()

    assert (last.status_code, beyond.status_code) == (201, 429)
    assert (beyond.json()["current"], beyond.json()["limit"]) == (limit, limit)
    assert len(gateway.heard) == 1


async def test_what_is_stored(database: Database, gateway: Deployments) -> None:
    await add_user(database)
    config = {"gatewayToken": "chosen", "inner": {"gatewayToken": 1}, "text": "\\u0000 ' \" 🐫", "number": 1.5}
    async with provisioning(database.url, gateway) as user:
        answer = await user.provision(name="  My Agent ", model="custom", config=config, tier="pro")
    [row] = await agents(database)

    made = answer.json()["agent"]
    host = gateway.url.removeprefix("http://")
    assert (row["id"], row["userId"], row["name"]) == (made["id"], "u", "My Agent")
    assert (row["model"], row["tier"], row["status"]) == ("custom", "pro", "running")
    assert row["websocketUrl"] == made["websocketUrl"] == f"ws://{host}/agent/u"
    assert row["config"] == {name: value for name, value in config.items() if name != "gatewayToken"}
    assert row["createdAt"].replace(tzinfo=UTC) == datetime.fromisoformat(made["createdAt"])


async def test_a_gateway_killed_while_it_deploys_leaves_an_agent_in_error_and_a_free_place(
    postgres: Database, gateway: Deployments, processes: Processes
) -> None:
    await add_user(postgres)
    settings = gateway.settings(postgres.url, deploy_deadline=1)
    gateway.hold()
    async with http() as client:
        killed = await processes(gateway.settings(postgres.url))
        asking = asyncio.create_task(Caller(client, killed.public, "u").provision())
        await until(lambda: gateway.heard)
        killed.process.kill()
        with pytest.raises(httpx.TransportError):
            await asking
        gateway.release()

        user = Caller(client, (await processes(settings)).public, "u")
        assert await user.statuses() == ["provisioning"]
        assert (await user.provision()).status_code == 429
        await let_time_pass(postgres)
        assert await user.statuses() == ["error"]
        assert [row["status"] for row in await agents(postgres)] == ["error"]
        assert (await user.provision()).status_code == 201
        assert sorted(row["status"] for row in await agents(postgres)) == ["error", "running"]


async def test_an_agent_given_up_does_not_run_when_it_is_deployed_after_all(
    database: Database, gateway: Deployments
) -> None:
    await add_user(database)
    gateway.hold()
    async with provisioning(database.url, gateway) as user:
        asking = asyncio.create_task(user.provision(key="k"))
        await until(lambda: gateway.heard)
        await let_time_pass(database)
        assert await user.statuses() == ["error"]
        gateway.release()
        late = await asking
        again = await user.provision(key="k")

        assert (late.status_code, again.status_code) == (500, 500)
        assert late.json() == again.json()
        assert late.json()["error"].startswith("Failed to provision agent")
        assert await user.statuses() == ["error"]
        assert [row["websocketUrl"] for row in await agents(database)] == [None]
        assert len(gateway.heard) == 1
        assert (await user.provision(key="another")).status_code == 201


async def test_a_place_that_was_given_to_another_agent_is_not_taken_twice(
    database: Database, gateway: Deployments
) -> None:
    await add_user(database)
    gateway.hold()
    async with provisioning(database.url, gateway) as user:
        first = asyncio.create_task(user.provision(name="first"))
        await until(lambda: len(gateway.heard) == 1)
        await let_time_pass(database)
        second = asyncio.create_task(user.provision(name="second"))
        await until(lambda: len(gateway.heard) == 2)
        gateway.release()

        assert [(await each).status_code for each in (first, second)] == [500, 201]
        assert {row["name"]: row["status"] for row in await agents(database)} == {
            "first": "error",
            "second": "running",
        }


async def test_a_crowd_with_one_key_gets_one_agent(database: Database, gateway: Deployments) -> None:
    await add_user(database, plan="enterprise")
    gateway.hold()
    async with provisioning(database.url, gateway) as user:
        asking = [asyncio.create_task(user.provision(key="k")) for _ in range(10)]
        await until(lambda: gateway.heard)
        assert (await user.provision(key="k", name="another body")).status_code == 422
        gateway.release()
        answers = await asyncio.gather(*asking)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(gateway.heard) == len(await agents(database)) == 1


async def test_a_repeat_is_told_the_outcome_when_the_first_caller_has_left(
    database: Database, gateway: Deployments
) -> None:
    await add_user(database)
    gateway.hold()
    async with provisioning(database.url, gateway) as user:
        leaving = asyncio.create_task(user.provision(key="k"))
        await until(lambda: gateway.heard)
        staying = asyncio.create_task(user.provision(key="k"))
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await user.statuses() == ["provisioning"]
        gateway.release()
        answer, later = await staying, await user.provision(key="k")

    assert (answer.status_code, later.status_code) == (201, 201)
    assert answer.content == later.content
    assert gateway.heard == [answer.json()["agent"]["id"]]


@pytest.mark.parametrize("key", [None, "k"])
async def test_an_agent_is_finished_although_its_caller_has_left(
    key: str | None, database: Database, gateway: Deployments
) -> None:
    await add_user(database)
    gateway.hold()
    async with provisioning(database.url, gateway) as user:
        leaving = asyncio.create_task(user.provision(key=key))
        await until(lambda: gateway.heard)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert await user.statuses() == ["provisioning"]
        gateway.release()
        await until(lambda: _all_run(user))

    assert len(gateway.heard) == 1


async def _all_run(user: Caller) -> bool:
    return await user.statuses() == ["running"]


async def test_a_deployment_that_hangs_is_asked_for_once(sqlite: Database, gateway: Deployments) -> None:
    await add_user(sqlite, plan="pro")
    gateway.hold()
    async with provisioning(sqlite.url, gateway, deploy_deadline=0.3, retries=5) as user:
        answers = await asyncio.gather(*(user.provision(key=f"k{number}") for number in range(3)))
        again = await asyncio.gather(*(user.provision(key=f"k{number}") for number in range(3)))

        assert [answer.status_code for answer in answers] == [500] * 3
        assert [answer.headers["bff-degraded"] for answer in answers] == [
            "gateway;reason=timeout;outcome=unknown"
        ] * 3
        assert [answer.content for answer in again] == [answer.content for answer in answers]
        assert await user.statuses() == ["error"] * 3
    assert sorted(gateway.heard) == [row["id"] for row in await agents(sqlite)]


@pytest.mark.parametrize(
    ("before", "fields", "change"),
    [
        (402, {"subscriptionStatus": "inactive"}, """UPDATE "User" SET "subscriptionStatus" = 'active'"""),
        (429, {}, """UPDATE "Agent" SET "status" = 'error'"""),
    ],
)
async def test_a_refusal_is_not_what_a_repeat_is_told(
    before: int, fields: dict[str, Any], change: str, sqlite: Database, gateway: Deployments
) -> None:
    await add_user(sqlite, **fields)
    await sqlite.add(tables.agent, agent_row("a", "u"))
    async with provisioning(sqlite.url, gateway) as user:
        refused = await user.provision(key="k")
        await sqlite.run(change)
        await sqlite.run("""DELETE FROM "Agent" WHERE "id" = 'a'""")
        answer = await user.provision(key="k")

    assert (refused.status_code, answer.status_code) == (before, 201)


async def test_a_repeat_deploys_nothing_when_the_store_failed_after_the_deployment(
    postgres: Database, gateway: Deployments
) -> None:
    await add_user(postgres)
    url = make_url(postgres.url)
    assert url.port is not None
    gateway.hold()
    async with proxy(url.port) as between:
        store = url.set(port=between.port).render_as_string(hide_password=False)
        async with provisioning(store, gateway) as user:
            asking = asyncio.create_task(user.provision(key="k"))
            await until(lambda: gateway.heard)
            await between.misbehave("refuse")
            gateway.release()
            failed = await asking
            await between.misbehave(None)
            again = await user.provision(key="k")

            assert (failed.status_code, again.status_code) == (500, 500)
            assert len(gateway.heard) == 1
            await let_time_pass(postgres)
            assert await until(user.statuses) == ["error"]

"""Provisioning asked for again: one Idempotency-Key deploys one agent, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.faults.deployments import Caller, Deployments, add_user, agents, let_time_pass, provisioning
from tests.faults.proxy import proxy
from tests.faults.rig import until
from tests.stores import Database, agent_row
from upstreams.user_store import tables


@pytest.fixture
async def gateway() -> AsyncIterator[Deployments]:
    async with Deployments() as deployments:
        yield deployments


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

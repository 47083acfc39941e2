"""Provisioning in a crowd and in trouble: no agent too many, none twice, none that waits for ever."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from demo.asgi import HTML_TYPE, Answer, whole_body
from demo.listener import Listener
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
    session_of,
)
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
    await _insert_slowly(postgres)
    settings = gateway.settings(postgres.url)
    async with http() as client:
        users = [Caller(client, (await processes(settings)).public, "u") for _ in range(2)]
        answers = await asyncio.gather(*(user.provision() for _ in range(CROWD // 2) for user in users))

    await _assert_exactly(limit, answers, postgres, gateway)


async def _insert_slowly(postgres: Database) -> None:
    """Have inserting an agent take long, so that who does not wait for it counts without it."""
    await postgres.run(
        """CREATE OR REPLACE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NEW; END $$"""
    )
    await postgres.run('CREATE TRIGGER slowly AFTER INSERT ON "Agent" FOR EACH ROW EXECUTE FUNCTION slowly()')


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


async def test_nothing_is_deployed_that_no_place_is_kept_for(postgres: Database, gateway: Deployments) -> None:
    await add_user(postgres)
    async with provisioning(postgres.url, gateway, patience=0.5) as user:
        async with postgres.holding('LOCK TABLE "Agent" IN EXCLUSIVE MODE'):
            failed = await user.provision(key="k")
        assert (failed.status_code, failed.json()) == (500, {"error": "Failed to provision agent"})
        assert await agents(postgres) == []
        assert gateway.heard == []
        assert (await user.provision(key="k")).status_code == 201


async def test_a_gateway_killed_while_it_deploys_leaves_an_agent_in_error_and_a_free_place(
    postgres: Database, gateway: Deployments, processes: Processes
) -> None:
    await add_user(postgres)
    settings = gateway.settings(postgres.url, deploy_deadline=5)
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


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    await Answer(500, HTML_TYPE, await whole_body(receive))(_scope, receive, send)


@pytest.fixture
async def echoing() -> AsyncIterator[str]:
    """Give the address of an upstream that fails, and says what it was sent."""
    listener = Listener(_echo, "127.0.0.1", 0)
    await listener.open()
    yield listener.url
    await listener.close()


NO_SECRET = {"name": "n", "telegramUserId": "1"}
SECRETS = {"telegramToken": "telegram-secret", "whatsappToken": "whatsapp-secret", "apiKey": "ai-secret"}


SENT = [
    ("/api/provision", json.dumps(NO_SECRET | SECRETS), 502),
    ("/api/provision", json.dumps(SECRETS | {"plan": "plan-secret"}), 400),
    ("/api/provision", json.dumps(SECRETS | {"discordBotToken": ["discord-secret"]}), 400),
    ("/api/provision", json.dumps(SECRETS)[:-1], 400),
    ("/api/provision", json.dumps(SECRETS | {"a": "\0"}), 400),
    ("/api/agents/provision", json.dumps(NO_SECRET | {"config": SECRETS}), 500),
    ("/api/agents/provision", json.dumps(NO_SECRET | {"config": "config-secret"}), 400),
    ("/api/agent", json.dumps({"action": "set-credential", "key": "telegram", "value": "value-secret"}), 503),
]


async def test_no_token_is_ever_told_or_logged(sqlite: Database, echoing: str, processes: Processes) -> None:
    await add_user(sqlite)
    upstreams = {"gateway": {"url": echoing}, "backend": {"url": echoing, "api_key": "the-key"}}
    process = await processes(
        {"log": {"level": "debug"}, "upstreams": {"user_store": {"url": sqlite.url}, **upstreams}}
    )
    statuses = [status for _, _, status in SENT]
    async with http() as client:
        answers = [
            await client.post(process.public + path, content=content, headers=session_of("u"))
            for path, content, _ in SENT
        ]
    process.process.terminate()
    await process.ended()

    assert [answer.status_code for answer in answers] == statuses
    assert [line["status"] for line in process.logs if line["event"] == "request"] == statuses
    assert not [answer for answer in answers if "-secret" in f"{answer.headers.raw}{answer.text}"]
    assert "-secret" not in process.errors.read_text(encoding="utf-8")

"""Writes at two gateways that share a Redis: one Idempotency-Key is one agent, a limit is everybody's together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from bff import claims
from bff.app import Gateway
from bff.configuration import validate
from demo.listener import Listener
from tests.bff.shared.replica import be_patient, gone
from tests.faults.deployments import Caller, Deployments, add_user, agents, http, session_of
from tests.faults.rig import until
from tests.redis_servers import RedisServer
from tests.stores import Database

LIMIT = 5
NO_CHANNEL = {"plan": "free"}  # counts, and is refused then


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
async def deployments() -> AsyncIterator[Deployments]:
    async with Deployments() as deployments:
        yield deployments


class Two:
    """The user ``u`` at two gateways on one store and one Redis."""

    def __init__(self, client: httpx.AsyncClient, gateways: list[Gateway], urls: list[str]) -> None:
        self.gateways = gateways
        self.one, self.other = (Caller(client, url, "u") for url in urls)
        self._client = client
        self._urls = urls

    def provision(self, times: int, key: str) -> list["asyncio.Task[httpx.Response]"]:
        """Ask each gateway so many times for an agent."""
        both = (self.one, self.other) * times
        return [asyncio.create_task(user.provision(key=key)) for user in both]

    async def channels(self, times: int) -> list[httpx.Response]:
        """Ask each gateway so many times for channels that cannot be had."""
        asked = [
            self._client.post(f"{url}/api/provision", json=NO_CHANNEL, headers=session_of("u"))
            for url in self._urls * times
        ]
        return await asyncio.gather(*asked)

    async def share(self) -> None:
        """Return when both ask Redis, again at the latest 5 s after they could."""
        await until(lambda: all(each.redis and each.redis.is_up for each in self.gateways), within=5)


@asynccontextmanager
async def two(store: str, redis_url: str, deployments: Deployments) -> AsyncIterator[Two]:
    settings = deployments.settings(store) | {"cache": {"redis_url": redis_url}}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(http())
        gateways = [Gateway(validate(settings)) for _ in range(2)]
        listeners = [Listener(each.public, "127.0.0.1", 0) for each in gateways]
        for gateway, listener in zip(gateways, listeners, strict=True):
            stack.push_async_callback(gateway.close)
            await gateway.open()
            stack.push_async_callback(listener.close)
            await listener.open()
        the = Two(client, gateways, [listener.url for listener in listeners])
        await the.share()
        yield the


@pytest.fixture
async def the(
    sqlite: Database, redis_url: str, deployments: Deployments, redis_server: RedisServer
) -> AsyncIterator[Two]:
    await add_user(sqlite, plan="enterprise")
    async with two(sqlite.url, redis_url, deployments) as the:
        yield the


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_a_crowd_at_two_gateways_with_one_key_gets_one_agent(
    the: Two, sqlite: Database, deployments: Deployments
) -> None:
    answers = await asyncio.gather(*the.provision(25, key="k"))
    again = await asyncio.gather(*the.provision(1, key="k"))

    assert statuses(answers) == {201: 50}
    assert len({answer.content for answer in answers + again}) == 1
    assert [row["id"] for row in await agents(sqlite)] == deployments.heard == [answers[0].json()["agent"]["id"]]
    assert (await the.other.provision(key="k", name="another body")).status_code == 422


async def test_who_is_told_nothing_in_time_at_the_other_gateway_may_ask_again(
    the: Two, deployments: Deployments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_PATIENCE_SECONDS", 0)
    deployments.hold()
    asking = asyncio.create_task(the.one.provision(key="k"))
    await until(lambda: deployments.heard)
    early = await the.other.provision(key="k")
    assert (early.status_code, early.headers["retry-after"]) == (409, "2")
    assert early.json() == {"error": "The request with this Idempotency-Key has no answer yet"}

    deployments.release()
    answer = await asking
    assert (await the.other.provision(key="k")).content == answer.content
    assert len(deployments.heard) == 1


async def test_redis_is_killed_while_an_agent_is_deployed(
    the: Two, sqlite: Database, deployments: Deployments, redis_server: RedisServer
) -> None:
    deployments.hold()
    first = asyncio.create_task(the.one.provision(key="k"))
    await until(lambda: deployments.heard)
    asking = [first, *the.provision(25, key="k")]
    await until(lambda: all(each._repeats._claims._met for each in the.gateways))
    with gone(redis_server):
        deployments.release()
        await until(lambda: sum(task.done() for task in asking) == 26)
        repeat = await the.one.provision(key="k")
        others = await asyncio.gather(*the.provision(5, key="meanwhile"))
        assert statuses(others) == {201: 10}
    answers = await asyncio.gather(*asking)

    assert statuses(answers) == {201: 51}
    assert {answer.content for answer in answers} == {repeat.content}
    assert len(deployments.heard) == len(await agents(sqlite)) == 3  # meanwhile, each gateway decided by itself


async def test_a_limit_is_that_of_all_gateways(the: Two) -> None:
    answers = await the.channels(10)

    assert statuses(answers) == {400: LIMIT, 429: 20 - LIMIT}
    left = sorted(answer.headers["ratelimit"].split(";t=")[0] for answer in answers if answer.status_code == 400)
    assert left == [f'"provision";r={n}' for n in range(LIMIT)]


async def test_a_limit_is_each_gateways_own_without_redis_and_everybodys_again_with_it(
    the: Two, redis_server: RedisServer
) -> None:
    assert statuses(await the.channels(1)) == {400: 2}
    with gone(redis_server):
        # Each goes on from the one that it took.
        assert statuses(await the.channels(10)) == {400: 2 * (LIMIT - 1), 429: 20 - 2 * (LIMIT - 1)}
        assert all(each.metrics.fallbacks.labels("limits")._value.get() == 10 for each in the.gateways)
    await the.share()
    assert statuses(await the.channels(10)) == {400: LIMIT, 429: 20 - LIMIT}

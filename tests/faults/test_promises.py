"""The promises of architecture.md, by their numbers; the rest of them are in the fault matrix."""

import asyncio
from typing import Any

import pytest

from bff.plans import Access, Plan
from demo.faults import Faults
from demo.people import PEOPLE
from tests.faults.documented import failed
from tests.faults.proxy import Proxy
from tests.faults.questions import BOB, READS
from tests.faults.rig import HTTP, Answer, rig, until
from tests.faults.table import SLACK
from tests.faults.test_store_faults import url
from tests.stores import Database, session_row, user_row, utc
from upstreams.user_store import tables

BY_NAME = {plan.name: plan for plan in READS}
DATA, COST, BOOTSTRAP = (BY_NAME[f"dashboard.{name}"] for name in ("data", "cost", "bootstrap"))


PATIENT = {"timeout": 30, "deadline": 60}

# A documented refusal, for which nobody is asked.
UNKNOWN_ACTION = {"agent.unknown": (400, {"error": "Invalid action"})}


def statuses(needed: tuple[str, ...]) -> dict[str, int]:
    """Return what each read answers when the upstreams that are ``needed`` fail."""
    return {plan.name: _status(plan, needed) for plan in READS}


def _status(plan: Plan[Any], needed: tuple[str, ...]) -> int:
    if plan.name in UNKNOWN_ACTION:
        return UNKNOWN_ACTION[plan.name][0]
    down = [source.upstream for source in plan.sources if source.required and source.upstream in needed]
    return failed(plan.name, down[0])[0] if down else 200


async def test_1_no_answer_is_late_when_every_upstream_hangs_and_none_is_given_up(sqlite_url: str) -> None:
    async with rig(sqlite_url, {"upstreams": dict.fromkeys(HTTP, PATIENT)}) as the:
        for upstream in (*HTTP, "services"):
            await the.misbehave(upstream, Faults(hang=True))
        answers = await the.ask_all(READS)

    assert {name: answer.status for name, answer in answers.items()} == statuses(HTTP)
    for plan in READS:
        assert answers[plan.name].seconds < plan.deadline + SLACK


async def test_1_no_answer_is_late_when_the_store_hangs_and_is_not_given_up(between: Proxy) -> None:
    patient = {"statement_timeout": 30, "connect_timeout": 30, "pool_wait": 30}
    async with rig(url(between), {"upstreams": {"user_store": patient}}) as the:
        await between.misbehave("hang")
        answers = await the.ask_all(READS)

    for plan in READS:
        answer = answers[plan.name]
        assert answer.status == (200 if plan.fallback or plan.access is Access.ANYONE else 503), plan.name
        assert answer.seconds < plan.deadline + SLACK


async def test_2_no_user_gets_anothers_bytes(sqlite: Database) -> None:
    users = ["u", "u1", "u11", "u:1", "u|1", "u 1", "U", "ü", "('u',)", "user", "None", ""]
    tokens = {user: f"token-{number}" for number, user in enumerate(users)}
    await sqlite.add(tables.user, *(user_row(user, referralCode=f"<{user}>") for user in users))
    await sqlite.add(tables.session, *(session_row(tokens[user], user, utc(2999, 1, 1)) for user in users))

    async with rig(sqlite.url) as the:

        async def ask(user: str, anew: bool) -> None:
            answer = await the.ask(BOOTSTRAP, who=tokens[user], anew=anew)
            assert answer.status == 200
            assert answer.body["referralCode"] == f"<{user}>"
            data = await the.ask(DATA, who=tokens[user], anew=anew)
            assert data.body["userId"] == user

        await asyncio.gather(
            *(ask(user, anew) for user in users for anew in (False, True, False) for _ in range(5))
        )


async def test_4_a_thousand_equal_requests_cost_one_fan_out(sqlite_url: str) -> None:
    async with rig(sqlite_url) as the:
        asked = the.count("metrics", "/api/metrics/cost")
        answers = await asyncio.gather(*(the.ask(COST, anew=False) for _ in range(1000)))

        assert asked() == 1
        assert {answer.content for answer in answers} == {answers[0].content}
        assert sum(_is_led(answer) for answer in answers) == 1


async def test_4_no_cache_costs_one_more_fan_out_however_many_ask(sqlite_url: str) -> None:
    async with rig(sqlite_url) as the:
        await the.ask(COST)
        asked = the.count("metrics", "/api/metrics/cost")
        await the.misbehave("metrics", Faults(latency=0.1))
        answers = await asyncio.gather(*(the.ask(COST) for _ in range(50)))

        assert asked() == 1
        assert {answer.headers["cache-status"] for answer in answers} == {"bff; fwd=bypass"}


async def test_4_a_leader_that_goes_away_leaves_the_others_their_answer(sqlite_url: str) -> None:
    async with rig(sqlite_url) as the:
        asked = the.count("metrics", "/api/metrics/cost")
        await the.misbehave("metrics", Faults(latency=0.1))
        leader, *others = (asyncio.create_task(the.ask(COST, anew=False)) for _ in range(10))
        await until(lambda: len(the.flights) == 1)
        leader.cancel()
        answers = await asyncio.gather(*others)

        assert leader.cancelled()
        assert all(answer.is_complete for answer in answers)
        assert asked() == 1


async def test_4_many_users_of_one_gateway_probe_it_once(sqlite_url: str) -> None:
    sharing = [person.session_token for person in PEOPLE if not person.own_gateway]
    async with rig(sqlite_url) as the:
        asked = the.count("gateway", "/healthz")
        answers = await asyncio.gather(*(the.ask(DATA, who=token, anew=False) for token in sharing))
        later = [await the.ask(DATA, who=token, anew=False) for token in sharing]

        assert all(answer.is_complete for answer in [*answers, *later])
        assert asked() == 1


async def test_stale_is_served_at_once_while_it_is_refreshed(sqlite_url: str) -> None:
    keep = {COST.name: {"fresh": 0.3, "stale": 60}}
    async with rig(sqlite_url, {"keep": keep}) as the:
        await the.ask(COST)
        asked = the.count("metrics", "/api/metrics/cost")
        await the.misbehave("metrics", Faults(latency=0.2))

        async def is_stale() -> Answer | None:
            answer = await the.ask(COST, anew=False)
            return answer if answer.headers["cache-status"].endswith("detail=stale") else None

        stale = await until(is_stale)
        assert stale.status == 200
        assert stale.seconds < 0.2
        await until(asked)

        async def is_fresh() -> bool:
            return (await the.ask(COST, anew=False)).headers["cache-status"].startswith("bff; hit; ttl=0")

        await until(is_fresh)
        assert asked() == 1


async def test_5_upstream_in_trouble_is_left_alone_until_it_is_well(sqlite_url: str) -> None:
    breaker = {"failures": 3, "open_for": 0.5}
    async with rig(sqlite_url, {"upstreams": {"metrics": {"breaker": breaker}}}) as the:
        await the.misbehave("metrics", Faults(reset=True))
        reasons = [(await the.ask(COST)).headers["bff-degraded"] for _ in range(4)]
        assert reasons == ["metrics;reason=reset"] * 3 + ["metrics;reason=breaker_open"]

        assert (await the.ask(DATA)).is_complete  # the others do not notice
        await the.misbehave("metrics", None)
        asked = the.count("metrics", "/api/metrics/cost")

        async def is_complete() -> bool:
            return (await the.ask(COST)).is_complete

        await until(is_complete)
        assert asked() == 1  # one probe was enough


GIVES_GATEWAY_TOKEN = {"dashboard.data", "dashboard.bootstrap"}
SECRET = GIVES_GATEWAY_TOKEN | {"agents.config", "instance.token"}


@pytest.mark.parametrize(
    "plan",
    [plan for plan in READS if plan.access in {Access.SESSION, Access.OWNER} and plan.name not in UNKNOWN_ACTION],
    ids=lambda plan: plan.name,
)
async def test_6_no_answer_holds_what_is_nobodys_business(plan: Plan[Any], sqlite_url: str) -> None:
    async with rig(sqlite_url) as the:
        answer = await the.ask(plan)

    assert answer.is_complete
    assert BOB.session_token not in f"{answer.headers.raw}{answer.body}"
    assert (b"demo-gateway-bob" in answer.content) == (plan.name in GIVES_GATEWAY_TOKEN)
    for secret in (b"demo-shared-gateway-token", b"demo-backend-api-key", b"demo-gateway-internal-key"):
        assert secret not in answer.content
    cached = "private, no-store" if plan.name in SECRET else "private, no-cache"
    assert answer.headers["cache-control"] == cached


def _is_led(answer: Answer) -> bool:
    return answer.headers["cache-status"] == "bff; fwd=miss; stored"

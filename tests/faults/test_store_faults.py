"""Every fault of the user store under every operation that needs it: a kept copy, else the documented error.

All operations are asked at once, so that each fault is put to all of them in the time of one.
"""

from collections.abc import Iterable
from typing import Any

import pytest

from bff.plans import Operation, Plan
from demo.people import ADMIN
from tests.faults.documented import LIFECYCLE, ORDERS, UNAVAILABLE, failed
from tests.faults.proxy import Fault, Proxy
from tests.faults.questions import AGENT_READS, BOB, DASHBOARDS, READS, WRITES
from tests.faults.rig import IN_A_HURRY_WITH_THE_STORE, OFTEN, Answer, Rig, rig, until
from tests.faults.table import SLACK

STRANGER = "demo-session-carol"
every_fault = pytest.mark.parametrize("fault", ["hang", "latency", "refuse", "reset"])


def needs_the_store(plan: Plan[Any]) -> bool:
    return bool(plan.subject) or any(each.upstream == "user_store" and each.required for each in plan.sources)


NEEDING = [plan for plan in DASHBOARDS if needs_the_store(plan)]
AGENTS_NEEDING = [plan for plan in AGENT_READS if needs_the_store(plan)]
WRITES_NEEDING = [action for action in WRITES if action.subject or "user_store" in action.asks]

HURRIED = {"upstreams": {"user_store": IN_A_HURRY_WITH_THE_STORE}}

# A session stays known for as long as the test runs, and no breaker hides one failure behind another.
LASTING = {
    "auth": {"identity_ttl": 3600},
    "upstreams": {"user_store": IN_A_HURRY_WITH_THE_STORE | {"breaker": {"failures": OFTEN}}},
}

# Of these operations the store only has to tell who is asking.
WITHOUT = {
    *("agent.endpoints", "agent.unknown", "agent.health", "agent.sessions", "agent.session", "agent.memory"),
    *("chat.messages", "chat.send", "agent.chat", "agent.create-session", "provision"),
}


def test_the_operations_that_need_the_store() -> None:
    needing = {each.name for each in (*NEEDING, *AGENTS_NEEDING, *WRITES_NEEDING)}
    assert {each.name for each in (*READS, *WRITES)} - needing == WITHOUT | {"dashboard.health"}


def url(between: Proxy) -> str:
    return f"postgresql://postgres@127.0.0.1:{between.port}/postgres"


@every_fault
async def test_nothing_kept_is_the_documented_error(fault: Fault, between: Proxy) -> None:
    async with rig(url(between), LASTING) as the:
        await make_sessions_known(the)
        await between.misbehave(fault)
        answers = await the.ask_all(NEEDING)

        for plan in NEEDING:
            assert answers[plan.name].seconds < plan.deadline + SLACK
            assert_documented(plan, answers[plan.name])

        await between.misbehave(None)
        await until(lambda: are_complete(the, NEEDING))


@every_fault
async def test_kept_copy_is_served_and_strangers_wait(fault: Fault, between: Proxy) -> None:
    async with rig(url(between), LASTING) as the:
        complete = await the.complete(NEEDING)
        await between.misbehave(fault)
        answers = await the.ask_all(NEEDING)
        told_strangers = await the.ask_all(NEEDING, who=STRANGER)

        for plan in NEEDING:
            answer, stranger = answers[plan.name], told_strangers[plan.name]
            assert max(answer.seconds, stranger.seconds) < plan.deadline + SLACK
            _assert_kept(plan, complete[plan.name], answer)
            _assert_nobody_knows(plan, stranger)

        await between.misbehave(None)
        await until(lambda: are_complete(the, NEEDING))


async def test_kept_copy_is_not_served_for_ever(between: Proxy) -> None:
    plan = next(plan for plan in NEEDING if plan.name == "dashboard.cost")
    keep = {plan.name: {"fresh": 0.05, "stale": 0, "on_error": 1}}
    async with rig(url(between), HURRIED | {"keep": keep}) as the:
        assert (await the.ask(plan)).is_complete
        await between.misbehave("refuse")

        async def is_stale() -> bool:
            answer = await the.ask(plan, anew=False)
            return answer.status == 200 and answer.headers["cache-status"].endswith("detail=stale")

        async def is_refused() -> bool:
            return (await the.ask(plan, anew=False)).status == 500

        await until(is_stale)
        await until(is_refused)


@every_fault
async def test_agents_nobody_can_tell_the_owner_of(fault: Fault, between: Proxy) -> None:
    needing = [*AGENTS_NEEDING, *WRITES_NEEDING]
    async with rig(url(between), LASTING) as the:
        await the.complete(AGENTS_NEEDING)
        await make_sessions_known(the)
        before = the.heard()
        await between.misbehave(fault)
        answers = await the.ask_all(needing)

        assert the.heard() == before, "no upstream is asked before the store has said whose it is"
        for operation in needing:
            answer = answers[operation.name]
            assert answer.seconds < operation.deadline + SLACK
            assert_documented(operation, answer)

        await between.misbehave(None)
        await until(lambda: are_complete(the, needing))


@every_fault
async def test_agents_of_nobody_knows_whom(fault: Fault, between: Proxy) -> None:
    operations = [*AGENT_READS, *WRITES]
    async with rig(url(between), HURRIED) as the:
        await between.misbehave(fault)
        answers = await the.ask_all(operations)

        assert not the.heard()
        for operation in operations:
            answer = answers[operation.name]
            assert answer.seconds < operation.deadline + SLACK
            _assert_nobody_knows(operation, answer)


@every_fault
async def test_what_a_gateway_tells_needs_no_store(fault: Fault, between: Proxy) -> None:
    names = {"agent.sessions", "agent.session", "agent.memory", "chat.messages", "agent.endpoints", "chat.send"}
    operations = [each for each in (*AGENT_READS, *WRITES) if each.name in names]
    health = next(plan for plan in AGENT_READS if plan.name == "agent.health")
    async with rig(url(between), HURRIED) as the:
        complete = await the.ask(health)
        await between.misbehave(fault)
        answers = await the.ask_all(operations)
        degraded = await the.ask(health)

        assert all(answer.is_complete for answer in answers.values())
        assert degraded.body == complete.body | {"model": None, "skills": []}
        assert complete.body["model"]
        assert complete.body["skills"]
        assert degraded.headers["bff-degraded"].startswith("user_store;reason=")


async def make_sessions_known(the: Rig) -> None:
    endpoints = next(plan for plan in AGENT_READS if plan.name == "agent.endpoints")
    for person in (BOB, ADMIN):
        assert (await the.ask(endpoints, who=person.session_token)).is_complete


async def are_complete(the: Rig, operations: Iterable[Operation[Any]]) -> bool:
    return all(answer.is_complete for answer in (await the.ask_all(operations)).values())


WRITTEN_AT_ONCE = {"agent.update-skill", "agent.set-credential"}


def _assert_kept(plan: Plan[Any], complete: Answer, answer: Answer) -> None:
    if not plan.keep.on_error:
        assert_documented(plan, answer)
        return
    assert answer.status == 200
    assert answer.lasting == complete.lasting
    assert answer.headers["cache-status"].endswith("detail=stale")
    assert answer.headers["bff-degraded"].startswith("user_store;reason=")


def assert_documented(operation: Operation[Any], answer: Answer) -> None:
    assert b"127.0.0.1" not in answer.content
    if isinstance(operation, Plan) and operation.fallback is not None:
        assert answer.status == 200
        assert answer.body == operation.fallback.model_dump(mode="json")
        assert answer.headers["bff-degraded"].startswith("user_store;reason=")
        return
    body = answer.body
    if operation.name == "dashboard.data":
        assert body.pop("details").startswith("user_store: ")
        assert body.pop("responseTime") >= 0
    if operation.name in WRITTEN_AT_ONCE:  # what is written by one statement may have been
        body["error"] = body["error"].removesuffix(": the outcome is unknown")
    assert (answer.status, body) == failed(operation.name, "user_store"), operation.name


def _assert_nobody_knows(operation: Operation[Any], answer: Answer) -> None:
    if isinstance(operation, Plan) and operation.fallback is not None:
        assert_documented(operation, answer)
        return
    expected = LIFECYCLE if operation.name in ORDERS else UNAVAILABLE
    assert (answer.status, answer.body) == (503, expected), operation.name
    assert answer.headers["retry-after"].isdigit()

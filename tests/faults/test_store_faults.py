"""Every fault of the user store under every plan that needs it: a kept copy, else the documented error."""

from typing import Any, get_args

import pytest

from bff.endpoints import PLANS
from bff.plans import Access, Plan
from tests.faults.proxy import Fault, Proxy
from tests.faults.rig import Answer, Rig, rig, until

SLACK = 0.25
STRANGER = "demo-session-carol"

NEEDING = [plan for plan in PLANS if any(source.upstream == "user_store" for source in plan.sources)]
CASES = [pytest.param(plan, fault, id=f"{plan.name}-{fault}") for plan in NEEDING for fault in get_args(Fault)]
every_fault = pytest.mark.parametrize(("plan", "fault"), CASES)


def test_the_plans_that_need_the_store() -> None:
    assert {plan.name for plan in PLANS if plan.access is not Access.ANYONE} == {plan.name for plan in NEEDING}


def url(between: Proxy) -> str:
    return f"postgresql://postgres@127.0.0.1:{between.port}/postgres"


@every_fault
async def test_nothing_kept_is_the_documented_error(plan: Plan[Any], fault: Fault, between: Proxy) -> None:
    async with rig(url(between)) as the:
        await _make_the_session_known(the, plan)
        await between.misbehave(fault)
        answer = await the.ask(plan)

        assert answer.seconds < plan.deadline + SLACK
        _assert_documented(plan, answer)

        await between.misbehave(None)
        await until(lambda: _is_complete(the, plan))


@every_fault
async def test_kept_copy_is_served_and_strangers_wait(plan: Plan[Any], fault: Fault, between: Proxy) -> None:
    async with rig(url(between)) as the:
        complete = await the.ask(plan)
        assert complete.is_complete
        await between.misbehave(fault)
        answer = await the.ask(plan)
        stranger = await the.ask(plan, who=STRANGER)

        assert max(answer.seconds, stranger.seconds) < plan.deadline + SLACK
        if plan.keep.on_error:
            assert answer.status == 200
            assert answer.lasting == complete.lasting
            assert answer.headers["cache-status"].endswith("detail=stale")
            assert answer.headers["bff-degraded"].startswith("user_store;reason=")
        else:
            _assert_documented(plan, answer)
        _assert_nobody_knows(plan, stranger)

        await between.misbehave(None)
        await until(lambda: _is_complete(the, plan))


async def test_kept_copy_is_not_served_for_ever(between: Proxy) -> None:
    plan = next(plan for plan in NEEDING if plan.name == "dashboard.cost")
    keep = {plan.name: {"fresh": 0.05, "stale": 0, "on_error": 1}}
    async with rig(url(between), {"keep": keep}) as the:
        assert (await the.ask(plan)).is_complete
        await between.misbehave("refuse")

        async def is_stale() -> bool:
            answer = await the.ask(plan, anew=False)
            return answer.status == 200 and answer.headers["cache-status"].endswith("detail=stale")

        async def is_refused() -> bool:
            return (await the.ask(plan, anew=False)).status == 500

        await until(is_stale)
        await until(is_refused)


async def _make_the_session_known(the: Rig, plan: Plan[Any]) -> None:
    other = next(each for each in NEEDING if each is not plan and each.access is not Access.ADMIN)
    token = None if plan.access is not Access.ADMIN else "demo-session-admin"
    assert (await the.ask(other, who=token)).status == 200


async def _is_complete(the: Rig, plan: Plan[Any]) -> bool:
    return (await the.ask(plan)).is_complete


def _assert_documented(plan: Plan[Any], answer: Answer) -> None:
    if plan.fallback is not None:
        assert answer.status == 200
        assert answer.body == plan.fallback.model_dump(mode="json")
        assert answer.headers["bff-degraded"].startswith("user_store;reason=")
        return
    assert answer.status == 500
    more = {"details", "responseTime"} if plan.name == "dashboard.data" else set()
    assert answer.body.keys() == {"error"} | more
    assert answer.body["error"] == plan.failed
    assert b"127.0.0.1" not in answer.content


def _assert_nobody_knows(plan: Plan[Any], answer: Answer) -> None:
    if plan.fallback is not None:
        _assert_documented(plan, answer)
        return
    assert answer.status == 503
    assert answer.body == {"error": "Service unavailable"}
    assert answer.headers["retry-after"].isdigit()

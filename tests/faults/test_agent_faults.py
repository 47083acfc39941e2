"""Every fault of every HTTP upstream of the agents' reads: documented, in time, nothing echoed, and they heal.

The reads of one upstream are asked at once, so that each fault is put to all of them in the time of one.
"""

from typing import Any

import pytest

from bff.plans import Plan
from tests.faults.documented import MAY_BE_MISSING, NO_AGENT, failed
from tests.faults.questions import AGENT_READS, BOB, reading
from tests.faults.rig import Answer, facing, rig, until
from tests.faults.table import ALL, SLACK, echoes, page

UPSTREAMS = ("gateway", "sessions", "backend")
CASES = [pytest.param(upstream, fault, id=f"{upstream}-{fault}") for upstream in UPSTREAMS for fault in ALL]

# An answer without numbers, without lists, or of whatever it may be cannot be wrong in that way.
HARMLESS = {
    "nan": {"agents.detail", "agents.verification", "instance.details", "instance.token"},
    "nulls": {
        *("agents.detail", "agents.config", "agents.stats", "agents.verification"),
        *("instance.details", "instance.stats", "instance.token"),
    },
}
LIVENESS = ("gateway", "nulls")
ANYTHING = ("agents.config", "wrong_types")

# Of these answers so little is read that the bomb is too large before it is anything else.
READS_MUCH = {"agents.config", "agents.logs"}


def test_every_read_is_asked_under_faults() -> None:
    asked = {plan.name for upstream in UPSTREAMS for plan in reading(AGENT_READS, upstream)}
    assert {plan.name for plan in AGENT_READS} - asked == {
        *("agents.list", "agents.provisioned", "agent.skills", "agent.credentials"),  # the store's alone
        *("agent.endpoints", "agent.unknown"),  # nobody's
    }


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("upstream", "fault"), CASES)
async def test_fault(upstream: str, fault: str, sqlite_url: str) -> None:
    plans = reading(AGENT_READS, upstream)
    async with rig(sqlite_url, facing(upstream, fault)) as the:
        complete = await the.complete(plans)
        await the.misbehave(upstream, ALL[fault][0])
        answers = await the.ask_all(plans)

        for plan in plans:
            assert_documented(plan, upstream, fault, complete[plan.name], answers[plan.name])

        await the.misbehave(upstream, None)
        await until(lambda: the.answers_again(plans, complete))


def assert_documented(plan: Plan[Any], upstream: str, fault: str, complete: Answer, answer: Answer) -> None:
    assert answer.seconds < plan.deadline + SLACK
    if (plan.name, fault) == ANYTHING:
        assert answer.is_complete
        assert answer.body["config"].keys() == complete.body["config"].keys()
        return
    assert not echoes(answer.content), plan.name
    if plan.name in HARMLESS.get(fault, ()) or (upstream, fault) == LIVENESS:
        assert answer.is_complete, plan.name
        assert answer.lasting == complete.lasting
    elif plan.name in STAND_INS:
        plan.answer.model_validate(answer.body)
        assert answer.status == 200
        assert answer.headers["bff-degraded"] == f"{upstream};reason={_reason(plan, upstream, fault)}"
        STAND_INS[plan.name](upstream, fault, complete.body, answer.body)
    elif fault == "404" and plan.name in MAY_BE_MISSING:
        assert (answer.status, answer.body) == NO_AGENT
    else:
        assert (answer.status, answer.body) == failed(plan.name, upstream), plan.name


def _reason(plan: Plan[Any], upstream: str, fault: str) -> str:
    if fault == "gzip_bomb" and upstream != "sessions" and plan.name not in READS_MUCH:
        return "too_large"
    return ALL[fault][1]


def _mock_stats(_upstream: str, _fault: str, complete: Any, body: Any) -> None:
    assert (complete["status"], body["status"]) == ("ok", "mock")
    stats = body["stats"]
    assert stats["agentId"] == BOB.agents[0].id
    assert float(stats["successRate"]) + float(stats["errorRate"]) == pytest.approx(100)
    assert not stats.keys() & {"cpu", "memory", "pids"}, "mock figures are not mixed with live ones"


def _health(upstream: str, fault: str, complete: Any, body: Any) -> None:
    if upstream == "sessions":
        assert complete["channels"] == ["telegram", "webchat"]
        assert complete["lastSeen"]
        assert body == complete | {"channels": [], "lastSeen": None}
        return
    assert (complete["status"], complete["uptime"]) == ("running", 86_400)
    # Whether it lives has no number in it; only how long it has done so is not known.
    status = {"refuse": "stopped", "nan": "running"}.get(fault, "error")
    assert body == complete | {"status": status, "uptime": 0}


STAND_INS = {"agents.stats": _mock_stats, "agent.health": _health}


async def test_an_instance_has_figures_without_its_version(sqlite_url: str) -> None:
    async with rig(sqlite_url) as the:
        stats = next(plan for plan in AGENT_READS if plan.name == "instance.stats")
        complete = await the.ask(stats)
        path = f"/api/agents/{BOB.agents[0].id}"
        the.misbehave_at("backend", path, page(502))
        answer = await the.ask(stats)

        assert answer.headers["bff-degraded"] == "backend;reason=status"
        assert answer.body == complete.body | {"openclawVersion": "unknown"}

"""Every fault of every HTTP upstream of every dashboard: it comes in time, says what is missing, and heals."""

from collections.abc import Callable
from typing import Any

import pytest

from bff.plans import Plan
from tests.faults.questions import DASHBOARDS
from tests.faults.rig import Answer, rig, until
from tests.faults.table import FAULTS, SLACK, echoes
from upstreams.failure import Reason

# So little is read of a gateway's health that the bomb is too large before it is anything else.
SPECIAL = {("gateway", "gzip_bomb"): "too_large"}

# A gateway's health has neither numbers nor lists that could be wrong.
HARMLESS = {("gateway", "nan"), ("gateway", "nulls")}

# A monitored service is judged by its status alone: whatever it says with 200 is ok.
SERVICE_SAYS = {
    **{name: ("down", reason) for name, (_, reason) in FAULTS.items()},
    **dict.fromkeys(("huge", "gzip_bomb", "html", "malformed", "deep"), ("ok", "ok")),
    "redirect": ("degraded", "HTTP 302"),
    **{name: ("degraded", f"HTTP {name}") for name in ("500", "404", "401", "429", "503")},
}
SERVICE_KEEPS = {"nan", "nulls", "wrong_types"}  # nothing of "ok" and a 502 changes by these

CASES = [
    pytest.param(plan, source.upstream, fault, id=f"{plan.name}-{source.upstream}-{fault}")
    for plan in DASHBOARDS
    for source in plan.sources
    for fault in FAULTS
    if source.upstream != "user_store"
]

Stand = Callable[[Any, str], Any]


def _data_without_gateway(complete: Any, reason: str) -> Any:
    database = complete["health"]["checks"][0]
    gateway = {"name": "Gateway", "status": "down", "detail": reason}
    return complete | {"health": {"status": "degraded", "checks": [database, gateway]}}


def _analytics_without_gateway(complete: Any, _: str) -> Any:
    webchat, *others = complete["channels"]
    connected = complete["overview"]["connectedChannels"] - 1
    return complete | {
        "overview": complete["overview"] | {"connectedChannels": connected},
        "channels": [webchat | {"status": "unreachable"}, *others],
        "source": {"gateway": "unreachable", "sessions": "live"},
    }


def _analytics_without_sessions(complete: Any, _: str) -> Any:
    unused = {"messages": 0, "lastActive": None, "status": "not-configured"}
    webchat, *others = (channel | unused for channel in complete["channels"])
    return complete | {
        "overview": complete["overview"] | {"connectedChannels": 1, "channelMessages": 0},
        "channels": [webchat | {"status": "connected"}, *others],
        "source": {"gateway": "live", "sessions": "unavailable"},
    }


def _cost_without_metrics(complete: Any, _: str) -> Any:
    nothing = {"tokens": 0, "calls": 0, "avgCostPerCall": 0}
    plan_day = [0.97] * 5 + [0.96] * 2
    return complete | {
        "summary": {"totalCost": 6.77, "totalTokens": 0, "totalCalls": 0, "avgCostPerCall": 0},
        "agents": [{"name": "my-agent", "cost": 6.77, "model": "solo"} | nothing],
        "daily": [
            {"date": day["date"], "cost": cost, "tokens": 0}
            for day, cost in zip(complete["daily"], plan_day, strict=True)
        ],
        "modelBreakdown": [{"model": "solo", "percent": 100, "cost": 6.77}],
    }


STAND_INS: dict[tuple[str, str], Stand] = {
    ("dashboard.data", "gateway"): _data_without_gateway,
    ("dashboard.analytics", "gateway"): _analytics_without_gateway,
    ("dashboard.analytics", "sessions"): _analytics_without_sessions,
    ("dashboard.cost", "metrics"): _cost_without_metrics,
}


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("plan", "upstream", "fault"), CASES)
async def test_fault(plan: Plan[Any], upstream: str, fault: str, sqlite_url: str) -> None:
    faults, usual = FAULTS[fault]
    reason = SPECIAL.get((upstream, fault), usual)
    async with rig(sqlite_url) as the:
        complete = await the.ask(plan)
        assert complete.is_complete
        await the.misbehave(upstream, faults)
        answer = await the.ask(plan)

        assert answer.status == 200
        assert answer.seconds < plan.deadline + SLACK
        plan.answer.model_validate(answer.body)
        assert not echoes(answer.content)
        if upstream == "services":
            _assert_services_say(fault, complete, answer)
        elif (upstream, fault) in HARMLESS:
            assert answer.is_complete
        else:
            assert Reason(reason)
            assert answer.headers["bff-degraded"] == f"{upstream};reason={reason}"
            assert answer.lasting == STAND_INS[plan.name, upstream](complete.lasting, reason)

        await the.misbehave(upstream, None)

        async def is_whole_again() -> bool:
            again = await the.ask(plan)
            return again.is_complete and again.lasting == complete.lasting

        await until(is_whole_again)


def _assert_services_say(fault: str, complete: Answer, answer: Answer) -> None:
    field = "services" if "services" in complete.body else "serviceHealth"
    says = {} if fault in SERVICE_KEEPS else dict(zip(("status", "detail"), SERVICE_SAYS[fault], strict=True))
    expected = [service | says for service in complete.body[field]]
    assert answer.lasting == complete.lasting | {field: expected}
    assert answer.is_complete

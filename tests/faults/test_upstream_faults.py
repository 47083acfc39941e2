"""Every fault of every HTTP upstream of the dashboards: in time they say what is missing, and they heal.

The dashboards of one upstream are asked at once, so that each fault is put to all of them in the time of one.
"""

from collections.abc import Callable
from typing import Any

import pytest

from bff.plans import Plan
from tests.faults.questions import DASHBOARDS, reading
from tests.faults.rig import Answer, facing, rig, until
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

UPSTREAMS = ("gateway", "sessions", "metrics", "services")
CASES = [pytest.param(upstream, fault, id=f"{upstream}-{fault}") for upstream in UPSTREAMS for fault in FAULTS]

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


def test_every_dashboard_is_asked_under_faults() -> None:
    asked = {plan.name for upstream in UPSTREAMS for plan in reading(DASHBOARDS, upstream)}
    assert {plan.name for plan in DASHBOARDS} - asked == {"dashboard.bootstrap", "dashboard.stats"}


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize(("upstream", "fault"), CASES)
async def test_fault(upstream: str, fault: str, sqlite_url: str) -> None:
    plans = reading(DASHBOARDS, upstream)
    async with rig(sqlite_url, facing(upstream, fault)) as the:
        complete = await the.complete(plans)
        await the.misbehave(upstream, FAULTS[fault][0])
        answers = await the.ask_all(plans)

        for plan in plans:
            assert_documented(plan, upstream, fault, complete[plan.name], answers[plan.name])

        await the.misbehave(upstream, None)
        await until(lambda: the.answers_again(plans, complete))


def assert_documented(plan: Plan[Any], upstream: str, fault: str, complete: Answer, answer: Answer) -> None:
    assert answer.status == 200
    assert answer.seconds < plan.deadline + SLACK
    plan.answer.model_validate(answer.body)
    assert not echoes(answer.content)
    if upstream == "services":
        _assert_services_say(fault, complete, answer)
    elif (upstream, fault) in HARMLESS:
        assert answer.is_complete
    else:
        reason = SPECIAL.get((upstream, fault), FAULTS[fault][1])
        assert Reason(reason)
        assert answer.headers["bff-degraded"] == f"{upstream};reason={reason}"
        assert answer.lasting == STAND_INS[plan.name, upstream](complete.lasting, reason)


def _assert_services_say(fault: str, complete: Answer, answer: Answer) -> None:
    field = "services" if "services" in complete.body else "serviceHealth"
    says = {} if fault in SERVICE_KEEPS else dict(zip(("status", "detail"), SERVICE_SAYS[fault], strict=True))
    expected = [service | says for service in complete.body[field]]
    assert answer.lasting == complete.lasting | {field: expected}
    assert answer.is_complete

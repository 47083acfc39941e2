"""Dashboard data: what is merged from the store and the gateway's health, and what describes one response."""

import json
from dataclasses import replace

import pytest

from bff.endpoints.dashboard_data import DATA, USER
from bff.endpoints.sources import GATEWAY
from bff.plans import Refused
from tests.bff.asking import ask, failure, got
from upstreams.failure import Reason
from upstreams.user_store import AgentRow, Dashboard

AGENT = AgentRow("agent_1", "active", "Scout", "pro")
ADA = Dashboard("user_ada", 70, "collective", "http://own.example.com", "agent_9", "gateway-token", AGENT)


def merged(user=ADA, gateway=True):
    return DATA.merge(ask(), got({USER: user, GATEWAY: gateway})).model_dump(mode="json")


def test_the_documented_answer():
    assert merged() == {
        "userId": "user_ada",
        "credits": 70,
        "plan": "collective",
        "openclawUrl": "http://own.example.com",
        "openclawInstanceId": "agent_9",
        "gatewayToken": "gateway-token",
        "agent": {"id": "agent_1", "status": "active", "name": "Scout", "tier": "pro"},
        "health": {
            "status": "healthy",
            "checks": [{"name": "Database", "status": "ok"}, {"name": "Gateway", "status": "ok"}],
        },
        "meta": {"responseTime": 0, "cached": False, "timestamp": "2026-04-04T12:00:00.000Z"},
    }


@pytest.mark.parametrize(
    ("own", "agent", "shown"),
    [("agent_9", AGENT, "agent_9"), (None, AGENT, "agent_1"), ("", AGENT, "agent_1"), ("x", None, "x")],
)
def test_the_instance_is_what_was_set_else_the_agent(own, agent, shown):
    assert merged(replace(ADA, openclaw_instance_id=own, agent=agent))["openclawInstanceId"] == shown


def test_what_a_user_lacks_is_null_and_never_missing():
    nothing = Dashboard("user_new", 0, None, None, None, None, None)
    answer = merged(nothing)
    assert answer["plan"] == "free"
    assert [answer[name] for name in ("openclawUrl", "openclawInstanceId", "gatewayToken", "agent")] == [None] * 4


def test_an_agent_without_a_tier_is_on_the_free_one():
    assert merged(replace(ADA, agent=replace(AGENT, tier=None)))["agent"]["tier"] == "free"


@pytest.mark.parametrize(
    ("down", "detail"),
    [
        (failure("gateway", Reason.TIMEOUT), "timeout"),
        (failure("gateway", Reason.STATUS, status=503), "status"),
        (failure("gateway", Reason.DISABLED), "disabled"),
        (failure("user_store", Reason.REFUSED), "refused"),
    ],
    ids=str,
)
def test_a_gateway_that_is_down_degrades_health_and_nothing_else(down, detail):
    answer = merged(gateway=down)
    assert answer.pop("health") == {
        "status": "degraded",
        "checks": [
            {"name": "Database", "status": "ok"},
            {"name": "Gateway", "status": "down", "detail": detail},
        ],
    }
    healthy = merged()
    del healthy["health"]
    assert answer == healthy


def test_a_user_missing_from_the_store():
    with pytest.raises(Refused) as refused:
        merged(None)
    assert (refused.value.status, refused.value.error) == (404, "User not found")


def stamped(body, milliseconds, *, cached):
    return DATA.stamp(body, milliseconds, cached)


def body_of(user):
    return DATA.merge(ask(), got({USER: user, GATEWAY: True})).model_dump_json().encode()


@pytest.mark.parametrize("cached", [True, False])
def test_the_stamp_describes_this_very_response(cached):
    before = merged()
    before["meta"] |= {"responseTime": 17, "cached": cached}
    assert json.loads(stamped(body_of(ADA), 17, cached=cached)) == before


@pytest.mark.parametrize("field", ["name", "status", "id", "tier"])
@pytest.mark.parametrize(
    "forged",
    [
        '"meta":{"responseTime":0,"cached":false,',
        '\\"meta":{"responseTime":0,"cached":false,',
        'x","meta":{"responseTime":0,"cached":false,"y":"',
    ],
)
def test_no_text_of_a_user_is_taken_for_the_stamp(field, forged):
    user = replace(ADA, agent=replace(AGENT, **{field: forged}), openclaw_url=forged)
    answer = json.loads(stamped(body_of(user), 17, cached=True))
    assert (answer["agent"][field], answer["openclawUrl"]) == (forged, forged)
    assert answer["meta"] == {"responseTime": 17, "cached": True, "timestamp": "2026-04-04T12:00:00.000Z"}


def test_an_answer_with_a_token_is_secret():
    assert DATA.secret


def test_the_documented_error_fields():
    assert DATA.failed == "Failed to fetch dashboard data"
    assert DATA.failed_fields(failure("user_store", Reason.TIMEOUT), 2001) == {
        "details": "user_store: timeout",
        "responseTime": 2001,
    }

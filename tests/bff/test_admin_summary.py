"""Admin summary: the platform's services, trials and agents."""

from datetime import timedelta

import pytest

from bff.endpoints.admin_summary import PLATFORM, SUMMARY
from bff.endpoints.sources import SERVICES
from bff.plans import Access, Scope
from tests.bff.asking import NOON, ask, failure, got
from upstreams.services import ServiceStatus
from upstreams.user_store import AgentErrorRow, ExpiringTrial, Summary

HOUR = timedelta(hours=1)
PLATFORMS = Summary(
    active_trials=12,
    expiring=(ExpiringTrial("user_1", "one@example.com", NOON + 30 * HOUR),),
    totals={"active": 30, "error": 2},
    recent_errors=(AgentErrorRow("agent_1", "Scout", "user_1", NOON - HOUR),),
)


SERVICE = ServiceStatus("API", "ok", "live")


def merged(platform=PLATFORMS, services=(SERVICE,)):
    return SUMMARY.merge(ask(), got({PLATFORM: platform, SERVICES: services})).model_dump(mode="json")


def test_the_documented_answer():
    assert merged() == {
        "serviceHealth": [{"name": "API", "status": "ok", "detail": "live"}],
        "trial": {
            "active": 12,
            "expiringSoon": [
                {
                    "id": "user_1",
                    "email": "one@example.com",
                    "endsAt": "2026-04-05T18:00:00.000Z",
                    "daysLeft": 2,
                }
            ],
        },
        "agents": {
            "totals": {"active": 30, "error": 2},
            "recentErrors": [
                {
                    "id": "agent_1",
                    "name": "Scout",
                    "userId": "user_1",
                    "updatedAt": "2026-04-04T11:00:00.000Z",
                    "status": "error",
                }
            ],
        },
        "timestamp": "2026-04-04T12:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(milliseconds=1), 1),
        (HOUR, 1),
        (24 * HOUR, 1),
        (24 * HOUR + timedelta(milliseconds=1), 2),
        (48 * HOUR, 2),
        (72 * HOUR, 3),
        (timedelta(0), 0),
    ],
)
def test_days_are_rounded_up(left, days):
    platform = Summary(1, (ExpiringTrial("u", "u@example.com", NOON + left),), {}, ())
    assert merged(platform)["trial"]["expiringSoon"][0]["daysLeft"] == days


def test_an_empty_platform():
    answer = merged(Summary(0, (), {}, ()), failure("services"))
    assert answer["serviceHealth"] == []
    assert answer["trial"] == {"active": 0, "expiringSoon": []}
    assert answer["agents"] == {"totals": {}, "recentErrors": []}


def test_it_is_for_administrators_and_shared_by_them():
    assert (SUMMARY.access, SUMMARY.shared_by) == (Access.ADMIN, Scope.ADMINS)

"""Dashboard analytics: what is merged from the store, the gateway's health and its sessions."""

from datetime import UTC, datetime

import pytest

from bff.endpoints.dashboard_analytics import ANALYTICS, INVENTORY, SESSIONS, AnalyticsQuery
from bff.endpoints.sources import GATEWAY
from bff.plans import Refused
from tests.bff.asking import ask, failure, got
from upstreams.sessions import Session
from upstreams.user_store import Inventory, MonthActivity, TopSkill

APRIL_2026 = 2026 * 12 + 3
HAS = Inventory(7, 5, 4, 3, (MonthActivity(APRIL_2026, 1, 2, 3),), (TopSkill("weather", 9), TopSkill("news", 2)))
TELEGRAM = Session("agent:main:telegram:direct:1", updated_at=1775300000000.0, message_count=4)


def merged(inventory=HAS, gateway=True, sessions=(TELEGRAM,), days=30):
    gave = {INVENTORY: inventory, GATEWAY: gateway, SESSIONS: sessions}
    return ANALYTICS.merge(ask(AnalyticsQuery(days)), got(gave)).model_dump(mode="json")


def status_of(answer):
    return {channel["name"]: channel["status"] for channel in answer["channels"]}


def test_the_documented_answer():
    answer = merged()
    assert answer["overview"] == {
        "deployedAgents": 7,
        "liveAgents": 5,
        "installedSkills": 4,
        "scheduledTasks": 3,
        "connectedChannels": 2,
        "channelMessages": 4,
    }
    assert answer["trend"] == [
        {"label": "Mar", "deployments": 0, "skills": 0, "tasks": 0},
        {"label": "Apr", "deployments": 1, "skills": 2, "tasks": 3},
    ]
    assert answer["topSkills"] == [{"name": "weather", "installs": 9}, {"name": "news", "installs": 2}]
    assert answer["channels"][1] == {
        "name": "Telegram",
        "messages": 4,
        "lastActive": "2026-04-04T10:53:20.000Z",
        "status": "connected",
    }
    assert answer["source"] == {"gateway": "live", "sessions": "live"}


def test_a_gateway_that_is_down():
    answer = merged(gateway=failure("gateway"), sessions=())
    assert answer["source"] == {"gateway": "unreachable", "sessions": "live"}
    assert status_of(answer) == {
        "Webchat": "unreachable",
        "Telegram": "not-configured",
        "Discord": "not-configured",
        "WhatsApp": "not-configured",
        "iMessage": "not-configured",
    }
    assert answer["overview"]["connectedChannels"] == 0


def test_sessions_that_cannot_be_listed_are_no_activity():
    answer = merged(sessions=failure("sessions"))
    assert answer["source"] == {"gateway": "live", "sessions": "unavailable"}
    assert status_of(answer)["Webchat"] == "connected"
    assert status_of(answer)["Telegram"] == "not-configured"
    assert (answer["overview"]["connectedChannels"], answer["overview"]["channelMessages"]) == (1, 0)
    assert {channel["lastActive"] for channel in answer["channels"]} == {None}


def test_both_down_leave_what_the_store_knows():
    answer = merged(gateway=failure("gateway"), sessions=failure("sessions"))
    assert answer["source"] == {"gateway": "unreachable", "sessions": "unavailable"}
    assert answer["overview"]["deployedAgents"] == 7
    assert answer["trend"][-1]["tasks"] == 3


def test_a_user_missing_from_the_store():
    with pytest.raises(Refused) as refused:
        merged(None)
    assert (refused.value.status, refused.value.error) == (404, "User not found")


def test_a_range_over_the_turn_of_a_year_has_a_bucket_for_every_month():
    gave = {INVENTORY: HAS, GATEWAY: True, SESSIONS: ()}
    answer = ANALYTICS.merge(ask(AnalyticsQuery(365)), got(gave))
    labels = [bucket.label for bucket in answer.trend]
    assert labels == ["Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb", "Mar", "Apr"]
    assert [bucket.deployments for bucket in answer.trend] == [0] * 12 + [1]


class Store:
    async def inventory(self, user_id, since, until):
        return user_id, since, until


class Up:
    user_store = Store()


async def test_the_store_is_asked_for_the_range_and_no_more():
    asked = await INVENTORY.fetch(Up(), ask(AnalyticsQuery(90), user="ada"))
    assert asked == ("ada", datetime(2026, 1, 4, 12, tzinfo=UTC), datetime(2026, 4, 4, 12, tzinfo=UTC))


@pytest.mark.parametrize("parameters", [{}, {"range": ""}, {"range": "x"}, {"range": "30d "}, {"Range": "30d"}])
def test_any_other_range_is_the_default(parameters):
    assert AnalyticsQuery.parse(parameters) == AnalyticsQuery.parse({"range": "180d"})

"""The pretend metrics service's figures of an organization: every filter counts, and parts add up to the whole."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from demo import metrics
from demo.clerk import ORGANIZATION
from demo.metrics_stats import KNOWLEDGE_BASES, Asked, Figures, routes
from demo.people import METRICS_API_KEY, PEOPLE
from tests.demo.apps import running
from upstreams.metrics import Metrics, Selection
from upstreams.pipe import Address, Pipe, Policy
from upstreams.transport import LeanTransport

KEY = {"Authorization": f"Bearer {METRICS_API_KEY}"}
NOW = datetime(2026, 4, 4, 12, tzinfo=UTC)
START = NOW - timedelta(days=365)
FIGURES = Figures(NOW)
ROUTES = routes(lambda: NOW)
PERIOD = {"orgId": ORGANIZATION, "from": "2026-03-01T00:00:00.000Z", "to": "2026-03-31T23:59:59.999Z"}


def asked(since=START, until=NOW, user=None, agent=None, org=ORGANIZATION):
    return Asked(org, since, until, user, agent)


@pytest.fixture
async def url():
    async with running(ROUTES, metrics.NOT_FOUND) as url:
        yield url


@pytest.fixture
async def service(url):
    async with LeanTransport() as transport:
        yield Metrics(Pipe("metrics", Policy(), transport), Address.parse(url), METRICS_API_KEY)


async def test_the_gateways_client_is_told_the_figures(service):
    users = ("user_ada", "user_bob")
    selection = Selection(ORGANIZATION, START, NOW, users, None)
    conversations = await service.conversations(selection)
    assert conversations.conversation_count == FIGURES.of_conversations(asked(user=users))["conversationCount"] > 0
    assert conversations.unique_users == 2
    feedback = await service.feedback(selection)
    assert feedback.total_feedback == feedback.total_helpful + feedback.total_not_helpful > 0
    assert (await service.knowledge_base(ORGANIZATION, START, NOW)).kb_count == len(KNOWLEDGE_BASES)


async def test_more_users_than_a_query_takes_make_no_difference(service):
    users = tuple(person.id for person in PEOPLE)
    many = users + tuple(f"user_{number}" for number in range(300))
    for ask in (service.conversations, service.feedback):
        of_few, of_many, of_all = [
            await ask(Selection(ORGANIZATION, START, NOW, selected, None)) for selected in (users, many, None)
        ]
        assert of_few == of_many == of_all


def test_users_add_up_to_everybody():
    everybody = FIGURES.of_conversations(asked())
    each = [FIGURES.of_conversations(asked(user=(person.id,))) for person in PEOPLE]
    for name in everybody.keys() - {"uniqueUsers", "uniqueAgents"}:
        assert everybody[name] == sum(one[name] for one in each)
    assert everybody["uniqueUsers"] == sum(one["conversationCount"] > 0 for one in each)
    assert everybody["totalTokens"] == everybody["inputTokens"] + everybody["outputTokens"]


def test_agents_add_up_to_their_user():
    [ada] = [person for person in PEOPLE if person.id == "user_ada"]
    whole = FIGURES.of_conversations(asked(user=("user_ada",)))
    each = [FIGURES.of_conversations(asked(agent=agent.id)) for agent in ada.agents]
    assert whole["messageCount"] == sum(one["messageCount"] for one in each)
    assert whole["uniqueAgents"] == len(ada.agents)


@pytest.mark.parametrize("of", [FIGURES.of_conversations, FIGURES.of_feedback, FIGURES.of_knowledge_base])
def test_halves_of_a_time_add_up_to_the_whole(of):
    middle = NOW - timedelta(days=100)
    first, second = of(asked(until=middle)), of(asked(since=middle + timedelta(microseconds=1)))
    counts = [name for name in of(asked()) if not name.startswith(("unique", "kbCount"))]
    assert [of(asked())[name] for name in counts] == [first[name] + second[name] for name in counts]


@pytest.mark.parametrize("of", [FIGURES.of_conversations, FIGURES.of_feedback, FIGURES.of_knowledge_base])
def test_of_another_organization_or_time_there_is_nothing(of):
    assert set(of(asked(org="org_other")).values()) == {0}
    assert set(of(asked(since=NOW, until=START)).values()) == {0}


def test_nobodys_conversations_are_none():
    assert set(FIGURES.of_conversations(asked(user=())).values()) == {0}


def test_files_are_the_organizations_whoever_is_asked_about():
    assert FIGURES.of_knowledge_base(asked(user=("user_ada",), agent="x")) == FIGURES.of_knowledge_base(asked())


@pytest.mark.parametrize("of", ["of_conversations", "of_feedback", "of_knowledge_base"])
def test_a_time_that_is_over_stays_as_it_was(of):
    months = asked(since=NOW - timedelta(days=90), until=NOW - timedelta(days=30))
    told = getattr(FIGURES, of)(months)
    assert told == getattr(Figures(NOW + timedelta(days=30)), of)(months)
    assert min(told.values()) > 0


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", f"/api/metrics/conversations?{urlencode(PERIOD)}", None, 200),
        ("POST", "/api/metrics/conversations/query", PERIOD | {"userId": ["user_ada"]}, 200),
        ("GET", f"/api/metrics/conversations?{urlencode(PERIOD)}&{'userId=u&' * 201}", None, 400),
        ("GET", "/api/metrics/feedback", None, 400),
        ("GET", f"/api/metrics/feedback?{urlencode(PERIOD | {'from': 'yesterday'})}", None, 400),
        ("GET", f"/api/metrics/feedback?{urlencode(PERIOD | {'from': '2026-03-01T00:00:00'})}", None, 400),
        ("POST", "/api/metrics/feedback/query", PERIOD | {"userId": "user_ada"}, 400),
        ("POST", "/api/metrics/feedback/query", b"{", 400),
        ("POST", "/api/metrics/feedback", PERIOD, 405),
        ("GET", f"/api/metrics/feedback/query?{urlencode(PERIOD)}", None, 405),
        ("GET", "/api/metrics/users", None, 404),
    ],
    ids=lambda part: str(part)[:50],
)
async def test_how_it_is_asked(client, url, method, target, body, status):
    reply = await client.ask(url + target, method, body, KEY)
    assert reply.status == status
    assert ("error" in reply.json) is (status != 200)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no"}])
async def test_who_has_no_key_is_told_nothing(client, url, headers):
    reply = await client.ask(f"{url}/api/metrics/knowledge-base?{urlencode(PERIOD)}", headers=headers)
    assert (reply.status, reply.json) == (401, {"error": "Unauthorized"})

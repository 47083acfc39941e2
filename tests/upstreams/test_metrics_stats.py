"""The metrics service's figures of an organization: what is asked, of whom, and what is believed."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.upstreams.answers import Upstream, json_answer
from upstreams.failure import Reason, UpstreamFailure
from upstreams.metrics import ConversationFigures, FeedbackFigures, KnowledgeBaseFigures, Metrics, Selection
from upstreams.pipe import Address, Pipe, Policy

HERE = Address.parse("http://metrics.example.com")
SINCE = datetime(2026, 4, 1, 2, tzinfo=timezone(timedelta(hours=2)))
UNTIL = datetime(2026, 4, 30, 23, 59, 59, 999_999, tzinfo=UTC)
EVERYBODY = Selection("org_1", SINCE, UNTIL, None, None)
PERIOD = "from=2026-04-01T00%3A00%3A00.000Z&to=2026-04-30T23%3A59%3A59.999Z"

CONVERSATIONS = {
    "conversationCount": 1,
    "messageCount": 2,
    "toolCalls": 3,
    "totalTokens": 9,
    "inputTokens": 4,
    "outputTokens": 5,
    "uniqueUsers": 6,
    "uniqueAgents": 7,
}
FEEDBACK = {"totalFeedback": 5, "totalHelpful": 3, "totalNotHelpful": 2}
KNOWLEDGE_BASE = {
    "kbFileCount": 1,
    "kbCount": 2,
    "kbExtractTotalTokens": 7,
    "kbExtractInputTokens": 3,
    "kbExtractOutputTokens": 4,
}
CALLS = {
    "conversations": (lambda it, of: it.conversations(of), CONVERSATIONS),
    "feedback": (lambda it, of: it.feedback(of), FEEDBACK),
    "knowledge-base": (lambda it, of: it.knowledge_base(of.org_id, of.since, of.until), KNOWLEDGE_BASE),
}
SELECTED = ["conversations", "feedback"]


def metrics(upstream, address=HERE):
    return Metrics(Pipe("metrics", Policy(retries=0), upstream), address, "key")


async def ask(name, scope=EVERYBODY, answer=None):
    """Return the one request that the call made."""
    call, body = CALLS[name]
    upstream = Upstream(answer or json_answer(body))
    await call(metrics(upstream), scope)
    [request] = upstream.requests
    assert request.headers["authorization"] == "Bearer key"
    return request


@pytest.mark.parametrize("name", CALLS)
async def test_everybodys_figures_of_a_period_in_utc(name):
    request = await ask(name)
    assert (request.method, request.url.path) == ("GET", f"/api/metrics/{name}")
    assert request.url.query.decode() == f"orgId=org_1&{PERIOD}"


@pytest.mark.parametrize("name", SELECTED)
async def test_users_and_an_agent_can_be_selected(name):
    scope = replace(EVERYBODY, user_ids=("user_1", "user&orgId=org_2"), agent_id="agent 1#?&userId=user_3")
    request = await ask(name, scope)
    assert request.url.query.decode() == (
        f"orgId=org_1&{PERIOD}&userId=user_1&userId=user%26orgId%3Dorg_2&agentId=agent+1%23%3F%26userId%3Duser_3"
    )


async def test_the_knowledge_base_is_asked_for_the_whole_organization():
    scope = replace(EVERYBODY, user_ids=("user_1",), agent_id="agent_1")
    assert (await ask("knowledge-base", scope)).url.query.decode() == f"orgId=org_1&{PERIOD}"


@pytest.mark.parametrize("name", SELECTED)
async def test_two_hundred_users_fit_into_a_query(name):
    users = tuple(f"user_{number:027}" for number in range(200))
    request = await ask(name, replace(EVERYBODY, user_ids=users))
    assert request.method == "GET"
    assert tuple(request.url.params.get_list("userId")) == users


@pytest.mark.parametrize("name", SELECTED)
@pytest.mark.parametrize(
    "scope",
    [
        replace(EVERYBODY, user_ids=tuple(f"user_{number}" for number in range(201)), agent_id="agent_1"),
        replace(EVERYBODY, user_ids=tuple("u" * 255 for _ in range(200)), agent_id="agent_1"),
        replace(EVERYBODY, user_ids=("user_1",), agent_id="\N{PILE OF POO}" * 100_000),
    ],
    ids=["too many users", "long names", "a long agent"],
)
async def test_what_is_too_long_for_a_query_goes_as_json(name, scope):
    request = await ask(name, scope)
    assert (request.method, request.url.path, request.url.query) == ("POST", f"/api/metrics/{name}/query", b"")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "orgId": "org_1",
        "from": "2026-04-01T00:00:00.000Z",
        "to": "2026-04-30T23:59:59.999Z",
        "userId": list(scope.user_ids),
        "agentId": scope.agent_id,
    }


async def test_a_query_as_json_may_be_repeated():
    upstream = Upstream(json_answer({}, 503), json_answer(FEEDBACK))
    users = tuple(f"user_{number}" for number in range(201))
    pipe = Pipe("metrics", Policy(retries=1), upstream)
    assert await Metrics(pipe, HERE, None).feedback(replace(EVERYBODY, user_ids=users)) == FeedbackFigures(5, 3, 2)


async def test_nobodys_figures_are_zero_and_not_asked_for():
    nobody = replace(EVERYBODY, user_ids=())
    assert await metrics(Upstream()).conversations(nobody) == ConversationFigures(0, 0, 0, 0, 0, 0, 0, 0)
    assert await metrics(Upstream()).feedback(nobody) == FeedbackFigures(0, 0, 0)


async def test_the_figures():
    answers = (json_answer(each | {"more": []}) for each in (CONVERSATIONS, FEEDBACK, KNOWLEDGE_BASE))
    service = metrics(Upstream(*answers))
    assert await service.conversations(EVERYBODY) == ConversationFigures(1, 2, 3, 9, 4, 5, 6, 7)
    assert await service.feedback(EVERYBODY) == FeedbackFigures(5, 3, 2)
    assert await service.knowledge_base("org_1", SINCE, UNTIL) == KnowledgeBaseFigures(1, 2, 7, 3, 4)


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, (_, body) in CALLS.items() for field in body])
async def test_a_figure_that_cannot_be_is_malformed(name, field):
    call, body = CALLS[name]
    wrong = [body | {field: value} for value in (None, -1, 1.5, "1", True, [], 2**53)]
    for answer in [*wrong, {each: figure for each, figure in body.items() if each != field}]:
        with pytest.raises(UpstreamFailure) as caught:
            await call(metrics(Upstream(json_answer(answer))), EVERYBODY)
        assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_is_far_too_large_is_not_read(name):
    call, body = CALLS[name]
    with pytest.raises(UpstreamFailure) as caught:
        await call(metrics(Upstream(json_answer(body | {"more": "x" * 100_000}))), EVERYBODY)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("name", CALLS)
async def test_without_an_address_it_is_disabled(name):
    with pytest.raises(UpstreamFailure) as caught:
        await CALLS[name][0](metrics(Upstream(), address=None), EVERYBODY)
    assert caught.value.reason is Reason.DISABLED

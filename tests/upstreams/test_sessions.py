"""The conversations a gateway lists, in what every version of it answers."""

import json

import httpx
import msgspec
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.sessions import Session, Sessions
from upstreams.user_store import Account

SHARED = Address.parse("http://shared.example.com")


def sessions(upstream, shared=SHARED):
    pipe = Pipe("sessions", Policy(retries=0), upstream)
    return Sessions(pipe, GatewayDirectory(shared, "shared-token", HostRules([], SHARED)), RefusedTokens())


async def listed(answer, account=None):
    return await sessions(Upstream(answer)).list(account or Account("u"))


async def failure_of(answer):
    with pytest.raises(UpstreamFailure) as caught:
        await listed(answer)
    assert caught.value.upstream == "sessions"
    return caught.value


def result(details=None, text=None):
    """Return the answer of a tool: its details, and the same as text."""
    content = [] if text is None else [{"type": "text", "text": text}]
    return json_answer({"ok": True, "result": {"content": content, "details": details}})


async def test_what_is_asked():
    upstream = Upstream(captured("openclaw/sessions_list-empty-2026.4.2"))
    assert await sessions(upstream).list(Account("u", gateway_token="own-token")) == ()
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("POST", "http://shared.example.com/tools/invoke")
    assert json.loads(request.content) == {"tool": "sessions_list", "args": {"limit": 50, "messageLimit": 0}}
    assert request.headers["authorization"] == "Bearer own-token"


@pytest.mark.parametrize(
    ("name", "count", "one"),
    [
        ("sessions_list-after-chat-2026.3.13", 1, "agent:main:main"),
        ("sessions_list-messageLimit-2026.4.2", 1, "agent:main:main"),
        ("sessions_list-visibility-all-2026.4.2", 13, "agent:main:telegram:direct:555000111"),
        ("single-sessions_list-2026.9.6", 5, "agent:main:openai-user:bff-user-1"),
    ],
)
async def test_every_version_lists_its_sessions(name, count, one):
    keys = [session.key for session in await listed(captured(f"openclaw/{name}"))]
    assert len(keys) == count
    assert one in keys


async def test_a_session_of_openclaw():
    [session] = await listed(captured("openclaw/sessions_list-after-chat-2026.3.13"))
    assert session == Session(
        "agent:main:main",
        channel="unknown",
        updated_at=1795246657304.0,
        session_id="d07a50ee-5337-4dc0-89d1-b4eb12cc9498",
        model="fake-model",
    )


async def test_a_session_of_a_later_openclaw():
    told = {"status": "done", "startedAt": 1795246369435, "archived": False, "sessionId": "s", "model": "m"}
    [session] = await listed(result({"sessions": [{"key": "k"} | told]}))
    assert (session.status, session.started_at, session.archived) == ("done", 1795246369435.0, False)


async def test_a_session_of_a_managed_gateway():
    theirs = {"key": "k", "lastChannel": "telegram", "lastActivity": "2026-04-04T12:00:00Z", "turns": 3}
    [session] = await listed(result({"sessions": [theirs | {"messageCount": 4, "kind": 7}]}))
    assert (session.last_channel, session.turns, session.message_count) == ("telegram", 3, 4)
    assert session.last_activity is not None
    assert session.last_activity.isoformat() == "2026-04-04T12:00:00+00:00"


LIST = '{"sessions": [{"key": "a"}]}'


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        pytest.param(result({"sessions": [{"key": "d"}]}, LIST), ["d"], id="the details before the text"),
        pytest.param(result(None, LIST), ["a"], id="the text of an older one"),
        pytest.param(
            json_answer({"result": {"content": [{"text": LIST}, {"text": "more"}]}}), ["a"], id="the first text"
        ),
        pytest.param(result({"sessions": []}, LIST), [], id="no sessions are no sessions"),
    ],
)
async def test_the_details_else_the_text(answer, keys):
    assert [session.key for session in await listed(answer)] == keys


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(captured("openclaw/sessions_history-other-forbidden-2026.4.2"), id="forbidden, with a 200"),
        pytest.param(captured("openclaw/root-2026.4.2"), id="a page"),
        pytest.param(result(), id="neither details nor text"),
        pytest.param(result({"status": "error", "error": "no"}), id="an error in the details"),
        pytest.param(result(None, "Something went wrong"), id="text that is no JSON"),
        pytest.param(result(None, '{"sessions": [], "x": ' + "[" * 10_000), id="text nested too deep"),
        pytest.param(result({"sessions": None}), id="a null list"),
        pytest.param(result({"sessions": {}}), id="an object for the list"),
        pytest.param(result({"sessions": [None]}), id="a null session"),
        pytest.param(result({"sessions": [{"channel": "telegram"}]}), id="no key"),
        pytest.param(result({"sessions": [{"key": 1}]}), id="a number for the key"),
        pytest.param(result({"sessions": [{"key": "k", "updatedAt": "now"}]}), id="a text for the time"),
        pytest.param(result({"sessions": [{"key": "k", "lastActivity": "yesterday"}]}), id="no ISO time"),
        pytest.param(result({"sessions": [{"key": "k", "messageCount": -1}]}), id="fewer than no messages"),
        pytest.param(result({"sessions": [{"key": "k", "turns": 2**60}]}), id="more messages than can be"),
        pytest.param(result({"sessions": [{"key": "k" * 1025}]}), id="a key without end"),
        pytest.param(result({"sessions": [{"key": "k", "status": 1}]}), id="a number for the status"),
        pytest.param(result({"sessions": [{"key": "k", "startedAt": -1}]}), id="a time before time"),
        pytest.param(result({"sessions": [{"key": "k", "startedAt": 1e17}]}), id="a time after time"),
        pytest.param(result({"sessions": [{"key": "k", "archived": "no"}]}), id="a text for whether"),
        pytest.param(json_answer({"ok": True}), id="no result"),
        pytest.param(json_answer({"ok": True, "result": None}), id="a null result"),
        pytest.param(json_answer({"result": {"content": [{"text": None}]}}), id="a null text"),
        pytest.param(json_answer({"result": {"content": "text"}}), id="no list of content"),
    ],
)
async def test_anything_else_is_malformed(answer):
    assert (await failure_of(answer)).reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("name", "reason", "status", "retry_after"),
    [
        ("tools-wrong-token-2026.4.2", Reason.STATUS, 401, None),
        ("tools-unknown-2026.4.2", Reason.STATUS, 404, None),
        ("tools-no-tool-2026.4.2", Reason.STATUS, 400, None),
        ("tools-xff-2026.9.6", Reason.STATUS, 403, None),
        ("auth-ratelimit-good-token-while-locked-2026.4.2", Reason.RATE_LIMITED, 429, 20.0),
    ],
)
async def test_a_refusal_is_a_failure(name, reason, status, retry_after):
    failed = await failure_of(captured(f"openclaw/{name}"))
    assert (failed.reason, failed.status, failed.retry_after) == (reason, status, retry_after)


@pytest.mark.parametrize("text", ['{"sessions": [{"key": "\\ud800"}]}', '{"sessions": [{"key": "a\ud800"}]}'])
async def test_half_a_character_is_malformed(text):
    body = {"result": {"content": [{"text": text}]}}
    assert (await failure_of(httpx.Response(200, content=json.dumps(body)))).reason is Reason.MALFORMED


async def test_a_token_that_fits_no_header_is_not_sent():
    upstream = Upstream(captured("openclaw/tools-wrong-token-2026.4.2"))
    with pytest.raises(UpstreamFailure):
        await sessions(upstream).list(Account("u", gateway_token="a\r\nb: c"))
    assert "authorization" not in upstream.requests[0].headers


async def test_without_a_gateway_nothing_is_asked():
    with pytest.raises(UpstreamFailure) as caught:
        await sessions(Upstream(), shared=None).list(Account("u"))
    assert (caught.value.upstream, caught.value.reason) == ("sessions", Reason.DISABLED)


def test_nothing_of_a_session_but_its_fields_is_kept():
    assert [field.encode_name for field in msgspec.structs.fields(Session)] == [
        "key",
        "channel",
        "lastChannel",
        "updatedAt",
        "lastActivity",
        "messageCount",
        "turns",
        "messages",
        "sessionId",
        "status",
        "startedAt",
        "model",
        "archived",
    ]


async def test_a_token_that_was_refused_is_not_tried_again():
    upstream = Upstream(captured("openclaw/tools-wrong-token-2026.4.2"))
    asked = sessions(upstream)
    for _ in range(3):
        with pytest.raises(UpstreamFailure) as caught:
            await asked.list(Account("u"))
        assert caught.value.status == 401
    assert len(upstream.requests) == 1

"""What was said in a conversation, in what every version of the gateway answers."""

import asyncio
import json

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from tests.upstreams.transport.wire import until
from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.sessions import Message, Sessions
from upstreams.user_store import Account

SHARED = Address.parse("http://shared.example.com")
KEY = "agent:main:main"


def sessions(upstream):
    directory = GatewayDirectory(SHARED, "shared-token", HostRules([], SHARED))
    return Sessions(Pipe("sessions", Policy(retries=0), upstream), directory, RefusedTokens())


async def history(answer):
    return await sessions(Upstream(answer)).history(Account("u"), KEY, 100)


def said(*messages):
    return json_answer({"ok": True, "result": {"details": {"messages": list(messages)}}})


async def test_what_is_asked():
    upstream = Upstream(captured("openclaw/sessions_history-unknown-2026.4.2"))
    await sessions(upstream).history(Account("u", gateway_token="own-token"), 'agent:"main"\0', 7)
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("POST", "http://shared.example.com/tools/invoke")
    assert json.loads(request.content) == {
        "tool": "sessions_history",
        "args": {"sessionKey": 'agent:"main"\0', "limit": 7},
    }
    assert request.headers["authorization"] == "Bearer own-token"


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        (
            "sessions_history-telegram-2026.4.2",
            (
                Message("user", "hello from telegram", 1795246360564.0),
                Message("assistant", "hi!", 1795246361364.0),
            ),
        ),
        (
            "single-sessions_history-2026.9.6",
            (
                Message("user", "hi", 1795246796881.0),
                Message("assistant", "Hello from the fake model. ", 1795246797216.0),
            ),
        ),
        ("sessions_history-unknown-2026.4.2", ()),
    ],
)
async def test_every_version_tells_what_was_said_oldest_first(name, messages):
    assert await history(captured(f"openclaw/{name}")) == messages


async def test_an_older_one_tells_it_as_text_only():
    text = json.dumps({"messages": [{"role": "user", "content": "hi"}]})
    answer = json_answer({"result": {"content": [{"type": "text", "text": text}]}})
    assert await history(answer) == (Message("user", "hi", None),)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "one\ntwo"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yes"}], "yes"),
        ([{"type": "toolCall", "text": "rm -rf", "arguments": {}}], ""),
        ([{"type": "image", "data": "..."}, {"type": "text"}], ""),
    ],
)
async def test_only_what_is_text_counts(content, text):
    assert await history(said({"role": "user", "content": content})) == (Message("user", text, None),)


async def test_a_history_that_is_not_shown_is_forbidden():
    with pytest.raises(UpstreamFailure) as caught:
        await history(captured("openclaw/sessions_history-other-forbidden-2026.4.2"))
    assert (caught.value.upstream, caught.value.reason, caught.value.status) == ("sessions", Reason.STATUS, 403)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(captured("openclaw/root-2026.4.2"), id="a page"),
        pytest.param(captured("openclaw/sessions_list-empty-2026.4.2"), id="a list of sessions"),
        pytest.param(json_answer({"result": {"details": {"status": "error", "error": "no"}}}), id="an error"),
        pytest.param(json_answer({"result": {"details": []}}), id="no object"),
        pytest.param(said(None), id="a null message"),
        pytest.param(said({"content": "hi"}), id="nobody said it"),
        pytest.param(said({"role": "x" * 65, "content": "hi"}), id="a role without end"),
        pytest.param(said({"role": "user", "content": 1}), id="a number"),
        pytest.param(said({"role": "user", "content": {"text": "hi"}}), id="an object"),
        pytest.param(said({"role": "user", "content": [{"text": "hi"}]}), id="a part of no type"),
        pytest.param(said({"role": "user", "content": "x" * 300_000}), id="a text without end"),
        pytest.param(said({"role": "user", "content": [{"type": "t"}] * 1001}), id="too many parts"),
        pytest.param(said({"role": "user", "timestamp": "now"}), id="a text for the time"),
        pytest.param(said({"role": "user", "timestamp": 1e17}), id="a time after time"),
        pytest.param(said(*[{"role": "user", "content": "hi"}] * 1001), id="too many messages"),
    ],
)
async def test_anything_else_is_malformed(answer):
    with pytest.raises(UpstreamFailure) as caught:
        await history(answer)
    assert caught.value.reason is Reason.MALFORMED


async def test_a_thousand_messages_are_read():
    assert len(await history(said(*[{"role": "user", "content": "hi"}] * 1000))) == 1000


async def test_more_than_two_mebibytes_are_not_read():
    with pytest.raises(UpstreamFailure) as caught:
        await history(said(*[{"role": "user", "content": "x" * 250_000}] * 9))
    assert caught.value.reason is Reason.TOO_LARGE


class Gateway(httpx.AsyncBaseTransport):
    """Answers each key with its own history, but not those in ``held`` unless released; counts who waits."""

    def __init__(self, answer, held=()):
        self._answer = answer
        self._held = held
        self.released = asyncio.Event()
        self.waiting = self.most = 0

    async def handle_async_request(self, request):
        key = json.loads(request.content)["args"]["sessionKey"]
        if key in self._held:
            await self._wait()
        return self._answer(key)

    async def _wait(self):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.released.wait()
        finally:
            self.waiting -= 1


def told(key):
    return said({"role": "user", "content": key})


KEYS = [f"key-{number}" for number in range(20)]


async def test_several_histories_come_in_the_order_asked_for_a_few_at_a_time():
    gateway = Gateway(told, held=KEYS)
    reading = asyncio.create_task(sessions(gateway).histories(Account("u"), KEYS, 100))
    async with asyncio.timeout(5):
        await until(lambda: gateway.waiting == 4)
        gateway.released.set()
        histories = await reading
    assert [[message.text for message in history] for history in histories] == [[key] for key in KEYS]
    assert gateway.most == 4


async def test_of_no_conversation_nothing_is_asked():
    assert await sessions(Upstream()).histories(Account("u"), [], 100) == ()


async def test_a_history_that_is_not_shown_is_none_among_several():
    def answer(key):
        return captured("openclaw/sessions_history-other-forbidden-2026.4.2") if key == "other" else told(key)

    shown, hidden = await sessions(Gateway(answer)).histories(Account("u"), ["own", "other"], 100)
    assert (len(shown), hidden) == (1, ())


async def test_one_that_fails_ends_the_others():
    gateway = Gateway(lambda key: httpx.Response(500), held=KEYS[1:])
    with pytest.raises(UpstreamFailure) as caught:
        await sessions(gateway).histories(Account("u"), KEYS, 100)
    assert caught.value.status == 500
    await until(lambda: gateway.waiting == 0)


async def test_being_cancelled_ends_them_all():
    gateway = Gateway(told, held=KEYS)
    reading = asyncio.create_task(sessions(gateway).histories(Account("u"), KEYS, 100))
    await until(lambda: gateway.waiting == 4)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: gateway.waiting == 0)


async def test_histories_that_are_too_large_together():
    def answer(key):
        return said(*[{"role": "user", "content": "x" * 250_000}] * 8)

    with pytest.raises(UpstreamFailure) as caught:
        await sessions(Gateway(answer)).histories(Account("u"), ["key"] * 50, 100)
    assert caught.value.reason is Reason.TOO_LARGE

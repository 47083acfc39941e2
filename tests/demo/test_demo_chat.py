"""The pretend gateway's chat: replies whole or piece by piece, and conversations that the tools show."""

import json

import pytest

from demo.people import PEOPLE, SHARED_GATEWAY_TOKEN

ADA, BOB, CAROL, IVAN = (
    next(person.gateway_token for person in PEOPLE if person.name == name)
    for name in ("Ada", "Bob", "Carol", "Ivan")
)
MODEL = "openclaw/default"


@pytest.fixture
def ask(client, gateway):
    async def send(message, token=ADA, **more):
        body = {"model": MODEL, "messages": [{"role": "user", "content": message}]} | more
        return await client.ask(
            f"{gateway}/v1/chat/completions", "POST", body, {"Authorization": f"Bearer {token}"}
        )

    return send


@pytest.fixture
def use(client, gateway):
    async def invoke(tool, token=ADA, **args):
        return (await client.invoke(gateway, token, tool, args)).json["result"]["details"]

    return invoke


def said(reply):
    return reply.json["choices"][0]["message"]["content"]


def lasting(completion):
    return completion | {"id": "", "created": 0}


def events(reply):
    lines = reply.body.decode().split("\n\n")
    assert lines.pop() == ""
    assert all(line.startswith("data: ") for line in lines)
    return [line.removeprefix("data: ") for line in lines]


async def test_a_reply_comes_as_captured(ask, capture):
    real, pretended = capture("openclaw/chat-ok-2026.4.2"), await ask("hi")
    assert (pretended.status, pretended.headers["content-type"]) == (real.status, real.headers["content-type"])
    assert list(pretended.json) == list(real.json)
    choice = real.json["choices"][0]
    assert pretended.json["choices"] == [
        choice | {"message": {"role": "assistant", "content": "Hi! How can I help?"}}
    ]


async def test_a_streamed_reply_is_the_same_one_in_pieces(ask):
    whole, streamed = await ask("Two words?", user="one"), await ask("Two words?", user="two", stream=True)
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, end = events(streamed)
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    pieces = [delta["content"] for delta in deltas if "content" in delta]
    assert end == "[DONE]"
    assert deltas[0] == {"role": "assistant"}
    assert [json.loads(chunk)["choices"][0]["finish_reason"] for chunk in chunks][-2:] == [None, "stop"]
    assert len(pieces) > 5
    assert "".join(pieces) == said(whole)


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (BOB, "chat-upstream-500-2026.4.2"),
        (SHARED_GATEWAY_TOKEN, "chat-upstream-500-2026.4.2"),
        (IVAN, "chat-upstream-500-2026.4.2"),
        (CAROL, "single-chat-upstream-500-2026.9.6"),
        (ADA, "single-chat-upstream-500-2026.9.6"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_fails_as_captured_of_each_version(ask, capture, token, name, stream):
    real, pretended = capture(f"openclaw/{name}"), await ask("FAIL500", token, stream=stream)
    assert pretended.status == real.status
    if real.status == 502:
        assert pretended.json == real.json
    elif stream:
        told = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events(pretended)[:-1]]
        assert "".join(told) == real.json["choices"][0]["message"]["content"]
    else:
        assert lasting(pretended.json) == lasting(real.json)


async def test_what_was_said_becomes_the_newest_session_with_its_history(ask, use):
    before = (await use("sessions_list"))["sessions"]
    await ask("What is 6 * 7?", user="Chat-General")
    after = (await use("sessions_list"))["sessions"]

    assert [one["key"] for one in after] == [
        "agent:main:openai-user:chat-general",
        *(one["key"] for one in before),
    ]
    assert after[0]["messageCount"] == 2
    assert after[0]["updatedAt"] > before[0]["updatedAt"]
    history = (await use("sessions_history", sessionKey=after[0]["key"], limit=10))["messages"]
    assert [(one["role"], one["content"][0]["text"]) for one in history] == [
        ("user", "What is 6 * 7?"),
        ("assistant", "6 * 7 is 42."),
    ]


async def test_a_conversation_goes_on_and_comes_to_the_front(ask, use):
    await ask("My cat is called Tom", user="one")
    await ask("hello", user="two")
    assert said(await ask("What did I say?", user="one")) == 'You said: "My cat is called Tom"'
    keys = [one["key"] for one in (await use("sessions_list", limit=2))["sessions"]]
    assert keys == ["agent:main:openai-user:one", "agent:main:openai-user:two"]
    assert len((await use("sessions_history", sessionKey=keys[0], limit=10))["messages"]) == 4


@pytest.mark.parametrize("owner", [person for person in PEOPLE if "openai-user" in person.conversations])
async def test_a_conversation_that_there_already_is_goes_on(ask, use, owner):
    listed = (await use("sessions_list", owner.gateway_token))["sessions"]
    key = next(one["key"] for one in listed if ":openai-user:" in one["key"])
    before = (await use("sessions_history", owner.gateway_token, sessionKey=key, limit=500))["messages"]
    await ask("hello", owner.gateway_token, user=key.rpartition(":")[2])
    after = (await use("sessions_history", owner.gateway_token, sessionKey=key, limit=500))["messages"]
    assert after[:-2] == before
    assert [one["role"] for one in after[-2:]] == ["user", "assistant"]


async def test_a_chat_without_a_user_is_a_session_of_its_own(ask, use):
    await ask("hello")
    await ask("hello")
    newest = [one["key"] for one in (await use("sessions_list", limit=2))["sessions"]]
    assert all(key.startswith("agent:main:openai:") for key in newest)
    assert len(set(newest)) == 2


async def test_nobody_hears_what_another_said(ask, use):
    await ask("secret", user="general")
    listed = (await use("sessions_list", BOB))["sessions"]
    assert "agent:main:openai-user:general" not in [one["key"] for one in listed]


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b"[]",
        b"{}",
        b'{"messages":"hi"}',
        b'{"messages":["hi"]}',
        b'{"messages":[{"role":"system","content":"Be brief."}]}',
        b'{"messages":[{"role":"user","content":""}]}',
    ],
)
async def test_a_chat_without_a_message_is_refused(client, gateway, body):
    url, headers = f"{gateway}/v1/chat/completions", {"Authorization": f"Bearer {ADA}"}
    reply = await client.ask(url, "POST", body, headers)
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("chat-no-token-2026.4.2", {}),
        ("chat-no-token-2026.4.2", {"Authorization": "Bearer nope"}),
        ("tools-xff-2026.9.6", {"Authorization": f"Bearer {ADA}", "X-Forwarded-For": "192.0.2.1"}),
    ],
)
async def test_who_may_not_chat_is_refused_as_captured(client, gateway, capture, name, headers):
    real = capture(f"openclaw/{name}")
    body = {"messages": [{"role": "user", "content": "hi"}]}
    pretended = await client.ask(f"{gateway}/v1/chat/completions", "POST", body, headers)
    assert (pretended.status, pretended.json) == (real.status, real.json)


async def test_too_many_wrong_tokens_lock_the_good_ones_out_too(client, gateway, ask, capture):
    real = capture("openclaw/auth-ratelimit-good-token-while-locked-2026.4.2")
    statuses = [(await client.invoke(gateway, "nope", "sessions_list")).status for _ in range(10)]
    for locked in (await client.invoke(gateway, ADA, "sessions_list"), await ask("hi")):
        assert (locked.status, locked.json) == (real.status, real.json)
        assert 0 < int(locked.headers["retry-after"]) <= 60
    assert statuses == [401] * 10
    assert (await client.ask(f"{gateway}/healthz")).status == 200


async def test_no_token_at_all_locks_nobody_out(client, gateway, use):
    for _ in range(12):
        assert (await client.ask(f"{gateway}/tools/invoke", "POST", {"tool": "sessions_list"})).status == 401
    assert (await use("sessions_list"))["count"]


@pytest.mark.parametrize("fault_name", ["nan", "wrong_types", "nulls"])
async def test_what_is_said_under_a_fault_is_said_once(ask, use, fault, fault_name):
    await fault(**{fault_name: True})
    await ask("hello", user="once", stream=True)
    await fault()
    key = "agent:main:openai-user:once"
    assert len((await use("sessions_history", sessionKey=key, limit=10))["messages"]) == 2


async def test_a_stream_may_break_off(ask, fault):
    await fault(truncated=True)
    reply = await ask("hello", stream=True)
    assert reply.status == 200
    assert b"[DONE]" not in reply.body

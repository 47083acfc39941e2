"""The pretend OpenClaw gateway answers as the real ones did."""

import json

import pytest

from demo.people import PEOPLE, SHARED_GATEWAY_TOKEN

OWNERS = [person for person in PEOPLE if person.gateway_token]
ADA, BOB, CAROL, IVAN = (
    next(person.gateway_token for person in PEOPLE if person.name == name)
    for name in ("Ada", "Bob", "Carol", "Ivan")
)


def shape(value):
    """Return the value with types in place of its leaves."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(inner) for inner in value]
        case float():
            return int
    return type(value)


def fields(session):
    """Return the session's fields with their types, but for the count that an interrupted run lacks."""
    inner = {
        f"{name}.{key}": type(value)
        for name, parts in session.items()
        if isinstance(parts, dict)
        for key, value in parts.items()
    }
    leaves = {name: shape(value) for name, value in session.items() if not isinstance(value, dict | list)}
    return frozenset((inner | leaves | {"totalTokens": int}).items())


def kind(session):
    """Return what the key says of a conversation: "telegram:direct", "cron", "main", ..."""
    parts = session["key"].split(":")[2:]
    return ":".join(parts[:2]) if len(parts) > 2 else parts[0]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openclaw/healthz-2026.4.2", "/healthz"),
        ("openclaw/readyz-noauth-2026.4.2", "/readyz"),
        ("openclaw/api-status-2026.4.2", "/api/status"),
        ("openclaw/chat-disabled-2026.4.2", "/v1/chat/completions"),
    ],
)
async def test_liveness_is_told_as_captured(platform, client, capture, name, path):
    real, pretended = capture(name), await client.ask(platform.urls["gateway"] + path)

    assert pretended.status == real.status
    assert {key: pretended.headers.get(key) for key in real.headers} == real.headers
    if "json" in real.headers["content-type"]:
        assert shape(pretended.json) == shape(real.json)
    else:
        assert pretended.body == real.body


@pytest.mark.parametrize("path", ["/", "/health", "/tools", "/api/agents"])
async def test_any_other_path_is_an_html_page(platform, client, path):
    reply = await client.ask(platform.urls["gateway"] + path)

    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("name", "token", "body", "headers"),
    [
        ("tools-wrong-token-2026.4.2", "nope", {"tool": "sessions_list"}, {}),
        ("tools-wrong-token-2026.4.2", "", {"tool": "sessions_list"}, {}),
        ("tools-xff-2026.9.6", ADA, {"tool": "sessions_list"}, {"X-Forwarded-For": "192.0.2.1"}),
        ("tools-xff-2026.9.6", ADA, {"tool": "sessions_list"}, {"X-Forwarded-Proto": "https"}),
        ("tools-bad-json-2026.4.2", ADA, b"{bad", {}),
        ("tools-no-tool-2026.4.2", ADA, {"args": {}}, {}),
        ("tools-no-tool-2026.4.2", ADA, [], {}),
        ("tools-unknown-2026.4.2", ADA, {"tool": "no_such_tool", "args": {}}, {}),
        ("tool-cron-2026.4.2", ADA, {"tool": "cron", "args": {}}, {}),
    ],
)
async def test_refused_tool_calls_are_answered_as_captured(platform, client, capture, name, token, body, headers):
    url = platform.urls["gateway"] + "/tools/invoke"
    headers = {"Authorization": f"Bearer {token}"} | headers

    real, pretended = capture(f"openclaw/{name}"), await client.ask(url, "POST", body, headers)

    assert (pretended.status, pretended.json) == (real.status, real.json)
    assert pretended.headers["content-type"] == real.headers["content-type"]


async def test_tools_are_invoked_by_post_alone(platform, client):
    assert (await client.ask(platform.urls["gateway"] + "/tools/invoke")).status == 405


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (IVAN, "sessions_list-after-chat-2026.3.13"),
        (SHARED_GATEWAY_TOKEN, "sessions_list-visibility-all-2026.4.2"),
        (BOB, "sessions_list-visibility-all-2026.4.2"),
        (CAROL, "single-sessions_list-2026.9.6"),
    ],
)
async def test_sessions_are_listed_in_the_shape_of_each_version(platform, client, capture, token, name):
    real = capture(f"openclaw/{name}").json["result"]["details"]
    known = {fields(session) for session in real["sessions"]}

    reply = await client.invoke(platform.urls["gateway"], token, "sessions_list", {"limit": 50, "messageLimit": 0})
    details = reply.json["result"]["details"]

    assert shape(details | {"sessions": []}) == shape(real | {"sessions": []})
    assert details["sessions"]
    assert {fields(session) for session in details["sessions"]} <= known


async def test_the_shared_gateway_holds_every_captured_kind_of_conversation(platform, client, capture):
    real = capture("openclaw/sessions_list-visibility-all-2026.4.2").json["result"]["details"]["sessions"]

    reply = await client.invoke(platform.urls["gateway"], SHARED_GATEWAY_TOKEN, "sessions_list")

    assert {kind(one) for one in reply.json["result"]["details"]["sessions"]} == {kind(one) for one in real}


async def test_managed_gateways_tell_lengths_and_last_activity_too(platform, client):
    sessions = (await client.invoke(platform.urls["gateway"], ADA, "sessions_list")).json["result"]["details"][
        "sessions"
    ]

    assert all(("messageCount" in one) != ("turns" in one) for one in sessions)
    assert all(one["lastActivity"].endswith("Z") for one in sessions)
    assert {"messageCount", "turns"} <= set().union(*sessions)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.name)
async def test_the_text_of_a_result_is_its_details(platform, client, owner):
    result = (await client.invoke(platform.urls["gateway"], owner.gateway_token, "sessions_list")).json["result"]

    assert json.loads(result["content"][0]["text"]) == result["details"]


async def test_no_token_lists_the_conversations_of_another(platform, client):
    seen = []
    for owner in OWNERS:
        reply = await client.invoke(platform.urls["gateway"], owner.gateway_token, "sessions_list")
        seen += [one["sessionId"] for one in reply.json["result"]["details"]["sessions"]]

    assert len(seen) == len(set(seen)) > len(OWNERS)


async def test_sessions_come_newest_first_and_no_more_than_the_limit(platform, client):
    url = platform.urls["gateway"]
    everything = (await client.invoke(url, ADA, "sessions_list")).json["result"]["details"]["sessions"]
    some = (await client.invoke(url, ADA, "sessions_list", {"limit": 3})).json["result"]["details"]

    times = [one["updatedAt"] for one in everything]
    assert times == sorted(times, reverse=True)
    assert some == {"count": 3, "sessions": everything[:3]}


async def test_the_newest_version_tells_whether_there_is_more(platform, client):
    reply = await client.invoke(platform.urls["gateway"], CAROL, "sessions_list", {"limit": 2})

    details = reply.json["result"]["details"]
    assert (details["count"], details["hasMore"], details["limitApplied"]) == (2, True, 2)


@pytest.mark.parametrize(("wanted", "got"), [(0, 0), (1, 1), (2, 2)])
async def test_messages_come_along_up_to_the_message_limit(platform, client, capture, wanted, got):
    real = capture("openclaw/sessions_list-messageLimit-2026.4.2").json["result"]["details"]["sessions"][0]

    reply = await client.invoke(platform.urls["gateway"], BOB, "sessions_list", {"messageLimit": wanted})

    for session in reply.json["result"]["details"]["sessions"]:
        messages = session.get("messages", [])
        assert len(messages) == got
        assert all(set(message) <= set(real["messages"][0]) for message in messages)


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (BOB, "sessions_history-telegram-2026.4.2"),
        (CAROL, "single-sessions_history-2026.9.6"),
    ],
)
async def test_a_history_is_told_as_captured(platform, client, capture, token, name):
    url, real = platform.urls["gateway"], capture(f"openclaw/{name}").json["result"]["details"]
    listed = (await client.invoke(url, token, "sessions_list")).json["result"]["details"]["sessions"]

    reply = await client.invoke(url, token, "sessions_history", {"sessionKey": listed[0]["key"], "limit": 2})
    details = reply.json["result"]["details"]

    assert shape(details | {"messages": []}) == shape(real | {"messages": []})
    assert {message["role"] for message in details["messages"]} == {"user", "assistant"}
    contents = {message["role"]: shape(message["content"]) for message in real["messages"]}
    assert all(shape(message["content"]) == contents[message["role"]] for message in details["messages"])
    assert details["messages"][-1]["timestamp"] == listed[0]["updatedAt"]


async def test_a_history_is_as_long_as_the_list_says_and_oldest_first(platform, client):
    url = platform.urls["gateway"]
    session = next(
        one
        for one in (await client.invoke(url, ADA, "sessions_list")).json["result"]["details"]["sessions"]
        if "messageCount" in one
    )

    reply = await client.invoke(url, ADA, "sessions_history", {"sessionKey": session["key"], "limit": 1000})
    times = [message["timestamp"] for message in reply.json["result"]["details"]["messages"]]

    assert len(times) == session["messageCount"]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("agent:research:main", "sessions_history-other-forbidden-2026.4.2"),
        ("agent:main:nope", "sessions_history-unknown-2026.4.2"),
    ],
)
async def test_the_history_of_others_and_of_none(platform, client, capture, key, name):
    reply = await client.invoke(
        platform.urls["gateway"], ADA, "sessions_history", {"sessionKey": key, "limit": 10}
    )

    assert (reply.status, reply.json) == (200, capture(f"openclaw/{name}").json)

"""The runner itself: what it would miss, the cases would promise in vain."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.answer import events_of, found, in_answer
from tests.contract.case import Case, case_of, merged
from tests.contract.database import in_store
from tests.contract.expect import Expectation
from tests.contract.heard import in_asked, names_of_request
from tests.contract.process import unchunked
from tests.contract.request import request_of
from tests.contract.sockets import on_sockets
from tests.contract.store import rows_of
from tests.contract.upstream import router_of
from tests.contract.words import written_out
from tests.stores import empty_store, utc

NOW = utc(2026, 4, 4, 12)
WORDS = {"<the agent>": "agent_1", "<gateway url>": "http://gateway"}
EXPECTATION = Expectation(NOW, WORDS)


def case(**given: Any) -> Case:
    return case_of("file", {}, {"name": "case", "ask": "POST /path", "status": 200, **given})


def asked(method: str, url: str, **options: Any) -> httpx.Request:
    return httpx.Request(method, url, **options)


def tool(name: str, **args: Any) -> httpx.Request:
    return asked("POST", "http://gateway/tools/invoke", json={"tool": name, "args": args})


STOP = asked("POST", "http://backend/api/agents/agent_1/stop", headers={"x-user-id": "ada"}, json={"now": True})
LOGS = asked("GET", "http://backend/api/agents/agent_1/logs?limit=5")
HISTORY = tool("sessions_history", sessionKey="agent:main:main")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/api/agents/<the agent>/stop", "/api/agents/agent_1/stop"),
        ({"<the agent>": ["<gateway url>/x", 1, None]}, {"agent_1": ["http://gateway/x", 1, None]}),
        ("<1 KB>", "x" * 1024),
        ("<html>", "<html>"),
    ],
)
def test_words_are_written_out(value: object, expected: object) -> None:
    assert written_out(value, WORDS) == expected


def test_settings_merge_at_every_depth() -> None:
    below = {"auth": {"admin_emails": ["a"], "ttl": 1}, "limits": {"a": 1}}
    assert merged(below, {"auth": {"ttl": 2}, "cache": {}}) == {
        **below,
        "auth": {"admin_emails": ["a"], "ttl": 2},
        "cache": {},
    }


@pytest.mark.parametrize(
    ("step", "content_type", "content"),
    [
        ({"send": {"id": "<the agent>"}}, "application/json", b'{"id": "agent_1"}'),
        ({"send": None}, "application/json", b"null"),
        ({"send": [], "headers": {"Content-Type": "text/plain"}}, "text/plain", b"[]"),
        ({"content": "{<the agent>"}, None, b"{agent_1"),
        ({}, None, b""),
    ],
)
def test_what_is_sent(step: dict[str, Any], content_type: str | None, content: bytes) -> None:
    request = request_of(case(**step).steps[0], NOW, WORDS)
    assert (request.headers.get("content-type"), request.content) == (content_type, content)


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        (STOP, ["POST /api/agents/agent_1/stop"]),
        (LOGS, ["GET /api/agents/agent_1/logs", "GET /api/agents/agent_1/logs?limit=5"]),
        (tool("sessions_list"), ["POST /tools/invoke", "POST /tools/invoke sessions_list"]),
        (
            HISTORY,
            [
                "POST /tools/invoke",
                "POST /tools/invoke sessions_history",
                "POST /tools/invoke sessions_history agent:main:main",
            ],
        ),
    ],
)
def test_the_names_of_a_request(request_: httpx.Request, names: list[str]) -> None:
    assert names_of_request(request_) == names


STOPPED = "POST backend /api/agents/<the agent>/stop"


@pytest.mark.parametrize(
    ("expected", "heard", "problems"),
    [
        (..., [STOP], []),
        ("nothing", [], []),
        ("nothing", [STOP], ["asked: POST backend /api/agents/agent_1/stop too"]),
        ([STOPPED], [STOP], []),
        ([STOPPED], [], [f"asked: nothing like {STOPPED}"]),
        ([STOPPED], [STOP, STOP], ["asked: POST backend /api/agents/agent_1/stop too"]),
        ([STOPPED, "GET backend /api/agents/agent_1/logs"], [LOGS, STOP], []),
        (
            ["GET backend /api/agents/agent_1/logs?limit=6"],
            [],
            ["asked: nothing like GET backend /api/agents/agent_1/logs?limit=6"],
        ),
        (["POST gateway /tools/invoke sessions_history agent:main:main"], [HISTORY], []),
        ({STOPPED: {"headers": {"x-user-id": "ada", "cookie": None}, "body": {"now": True}}}, [STOP], []),
        ([{STOPPED: {"contains": {}}}], [STOP], []),
        (
            {STOPPED: {"headers": {"x-user-id": "bob", "content-type": None}}},
            [STOP],
            [
                'asked POST backend /api/agents/agent_1/stop: x-user-id: expected "bob", got "ada"',
                'asked POST backend /api/agents/agent_1/stop: content-type: expected null, got "application/json"',
            ],
        ),
        (
            {STOPPED: {"body": {}}},
            [STOP],
            ["asked POST backend /api/agents/agent_1/stop: body.now: expected nothing, got true"],
        ),
    ],
)
def test_what_upstreams_heard(expected: object, heard: list[httpx.Request], problems: list[str]) -> None:
    assert list(in_asked(expected, heard, EXPECTATION)) == problems


STREAM = b'event: token\ndata: {"text": "Hel"}\n\nevent: done\ndata: {"reply": "Hello", "id": 7}\n\n'


def test_events_are_compared_and_remembered() -> None:
    answer = httpx.Response(200, content=STREAM)
    right = [{"event": "token", "data": {"text": "Hel"}}, {"event": "done", "data": {"reply": "<any>", "id": 7}}]
    assert not list(in_answer(case(events=right).steps[0], answer, EXPECTATION))
    assert list(in_answer(case(events=right[:1]).steps[0], answer, EXPECTATION))
    assert found("events.-1.data.id", answer) == "7"


@pytest.mark.parametrize("stream", [STREAM[:-1], b"data: {}\n\n", b"event: a\ndata: {\n\n", b": comment\n\n"])
def test_what_are_no_events(stream: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        events_of(httpx.Response(200, content=stream))


def test_a_value_of_the_answer_is_remembered() -> None:
    answer = httpx.Response(201, json={"agents": [{"id": "agent_9"}]})
    assert found("body.agents.0.id", answer) == "agent_9"
    with pytest.raises(LookupError):
        found("body.agent.id", answer)


def test_a_body_in_chunks() -> None:
    assert unchunked(b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n") == b"abc0123456789"
    assert unchunked(b"") == b""
    with pytest.raises(AssertionError):
        unchunked(b"3\r\nabc\r\n")


async def test_what_is_left_in_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = {
        "agents": [
            {"id": "a2", "user": "bob"},
            {
                "id": "a1",
                "user": "ada",
                "status": "running",
                "websocketUrl": "<gateway url>/a",
                "updatedAt": "now-1h",
                "config": {"skills": ["a"]},
            },
        ],
        "settings": [{"user": "ada", "key": "credential:x", "value": "sealed"}],
        "installed": [{"user": "ada", "skill": "weather", "createdAt": NOW}],
        "skills": [{"id": "weather", "description": "Rain or shine"}, {"id": "maps"}],
    }
    async with empty_store(url) as database:
        for table, rows in rows_of(store, NOW, WORDS):
            await database.add(table, *rows)

    async def problems(left: dict[str, Any]) -> list[str]:
        return await in_store(left, url, EXPECTATION)

    first = {
        "id": "a1",
        "user": "ada",
        "websocketUrl": "http://gateway/a",
        "updatedAt": "<now-1h>",
        "config": {"skills": ["a"]},
    }
    assert not await problems(
        {"agents": [first, {"id": "a2", "websocketUrl": None}], "settings": 1, "users": None}
    )
    assert not await problems(
        {"skills": [{"id": "maps", "name": "maps"}, {"id": "weather", "description": "Rain or shine"}]}
    )
    assert await problems({"agents": [{}]}) != []
    assert await problems({"agents": 1}) == ["left agents: expected 1, got 2"]
    assert await problems({"settings": None}) != []
    assert await problems({"settings": [{"value": "other"}]}) == [
        'left settings[0].value: expected "other", got "sealed"'
    ]


UPSTREAMS = {
    "backend": {
        "GET /list": [{"body": {"n": 1}}, {"body": {"n": 2}}],
        "GET /of/<the agent>": {"body": {"id": "<the agent>"}},
        "GET /logs?limit=5": {"text": "few"},
        "GET /logs": {"text": "many"},
        "GET /drop": {"drop": True},
        "GET /hang": {"hang": True},
        "GET /stream": {"sse": ["Hel", "lo"]},
        "GET /cut": {"sse": ["Hel"], "drop": True},
    },
    "gateway": {
        "POST /tools/invoke sessions_list": {"text": "the list"},
        "POST /tools/invoke sessions_history agent:main:main": {"text": "the history"},
    },
    "own": {"GET /": {"text": "own"}},
    "metrics": "down",
}


Upstreams = tuple[httpx.AsyncClient, dict[str, str], list[httpx.Request]]


@pytest.fixture(params=["in process", "on the wire"])
async def upstreams(request: pytest.FixtureRequest) -> AsyncIterator[Upstreams]:
    """Give a client, where each upstream is, and what they have heard."""
    heard: list[httpx.Request] = []
    router = router_of(UPSTREAMS, WORDS, heard)
    if request.param == "in process":
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            yield client, {name: f"http://{name}" for name in UPSTREAMS}, heard
        return
    async with on_sockets(UPSTREAMS, router) as urls, httpx.AsyncClient(timeout=0.2, trust_env=False) as client:
        yield client, urls, heard


async def test_upstreams_answer_as_described(upstreams: Upstreams) -> None:
    client, urls, heard = upstreams

    async def answer(name: str, path: str) -> str:
        return (await client.get(f"{urls[name]}{path}")).text

    assert [await answer("backend", "/list") for _ in range(3)] == ['{"n":1}', '{"n":2}', '{"n":2}']
    assert await answer("backend", "/of/agent_1") == '{"id":"agent_1"}'
    assert (await answer("backend", "/logs?limit=5"), await answer("backend", "/logs?limit=6")) == ("few", "many")
    assert (await answer("own", "/"), await answer("own", "/else")) == ("own", "Not Found")
    stream = await answer("backend", "/stream")
    assert stream.count("data: ") == 3
    assert stream.endswith("data: [DONE]\n\n")
    assert names_of_request(heard[-1], heard[-1].url.host) == ["GET backend /stream"]


async def test_upstreams_tell_the_tools_apart(upstreams: Upstreams) -> None:
    client, urls, heard = upstreams

    async def answer(tool_: str, key: str) -> str:
        body = {"tool": tool_, "args": {"sessionKey": key}}
        return (await client.post(f"{urls['gateway']}/tools/invoke", json=body, headers={"x-a": "b"})).text

    assert await answer("sessions_list", "any") == "the list"
    assert await answer("sessions_history", "agent:main:main") == "the history"
    assert await answer("sessions_history", "agent:main:other") == "Not Found"
    assert [each.headers["x-a"] for each in heard] == ["b"] * 3


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("/drop", (httpx.ReadError, httpx.RemoteProtocolError)),
        ("/hang", httpx.ReadTimeout),
        ("/cut", (httpx.ReadError, httpx.RemoteProtocolError)),
    ],
)
async def test_upstreams_fail_as_described(upstreams: Upstreams, url: str, error: Any) -> None:
    client, urls, heard = upstreams
    with pytest.raises(error):
        await client.get(f"{urls['backend']}{url}")
    assert len(heard) == 1


async def test_nobody_hears_what_an_upstream_that_is_down_is_asked(upstreams: Upstreams) -> None:
    client, urls, heard = upstreams
    with pytest.raises(httpx.ConnectError):
        await client.get(f"{urls['metrics']}/")
    assert not heard

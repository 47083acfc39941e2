"""What a chat promises on real sockets: it comes word by word, ends when nobody listens, is in nobody's way."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from demo.asgi import whole_body
from demo.faults import Faults
from demo.people import PEOPLE
from tests.edge_sockets.wire import serving
from tests.faults.questions import BOB, READS
from tests.faults.rig import WITHIN, Rig, rig, until

COMPLETIONS = "/v1/chat/completions"
FRANK = "demo-session-frank"  # another user of the shared gateway
OF_A_USER = 4  # chats at once
EVERYBODYS = [person.session_token for person in PEOPLE if not person.own_gateway][:8]
AT_ONCE = OF_A_USER * len(EVERYBODYS) - 6  # chats with one gateway; more wait
STREAMED = {"Accept": "text/event-stream"}
WHOLE = {"Accept": "application/json"}
OF_A_GATEWAY = {"dashboard.analytics", "dashboard.data", "agent.health", "agent.sessions", "chat.messages"}
SAID = [
    'data: {"choices":[{"delta":{"content":"Grüße"}}]}\n\n'.encode(),
    b'data: {"choices":[{"delta":{"content":", Bob"}}]}\n\n',
    b"data: [DONE]\n\n",
]


class Hesitant:
    """A gateway's chat that says the next thing when it is told to. ``left``: so many did not wait for the end."""

    def __init__(self) -> None:
        self.asked = 0
        self.left = 0
        self._more: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, *pieces: bytes | None) -> None:
        """Say these pieces of the body; None ends it."""
        for piece in pieces:
            self._more.put_nowait(piece)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        self.asked += 1
        leaving = asyncio.create_task(receive())
        talking = asyncio.create_task(self._talk(send))
        await asyncio.wait({leaving, talking}, return_when=asyncio.FIRST_COMPLETED)
        self.left += not talking.done()
        for each in (leaving, talking):
            each.cancel()

    async def _talk(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while (piece := await self._more.get()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class Chatting:
    the: Rig
    upstream: Hesitant
    client: httpx.AsyncClient

    def stream(self, token: str = BOB.session_token) -> AbstractAsyncContextManager[httpx.Response]:
        headers = STREAMED | {"Cookie": f"agentbot-session={token}"}
        return self.client.stream("POST", "/api/chat", json={"message": "hi"}, headers=headers)


@asynccontextmanager
async def chatting(store: str) -> AsyncIterator[Chatting]:
    """Serve a gateway on a port, whose upstream gateway hesitates; the client is Bob's."""
    upstream = Hesitant()
    gateway = {"chat_deadline": 60, "max_concurrency": AT_ONCE}
    async with rig(store, {"upstreams": {"gateway": gateway}}) as the:
        the.misbehave_at("gateway", COMPLETIONS, upstream)
        async with (
            serving(the._client._transport.app) as front,
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{front._server.sockets[0].getsockname()[1]}",
                limits=httpx.Limits(max_connections=None),
                timeout=WITHIN,
            ) as client,
        ):
            yield Chatting(the, upstream, client)


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, object]]:
    """Return each event as it comes."""
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


async def test_each_word_is_told_before_the_next_one_is_said(sqlite_url: str) -> None:
    first, second, end = SAID
    async with chatting(sqlite_url) as chat:
        chat.upstream.say(first)
        async with chat.stream() as answer:
            told = events(answer)
            assert await anext(told) == ("token", {"text": "Grüße"})

            chat.upstream.say(second)
            assert await anext(told) == ("token", {"text": ", Bob"})

            chat.upstream.say(end, None)
            kind, body = await anext(told)
            assert (kind, body["reply"]) == ("done", "Grüße, Bob")
            assert not [event async for event in told]
        assert chat.upstream.asked == 1


async def test_a_word_is_told_as_soon_as_its_last_byte_is_there(sqlite_url: str) -> None:
    first, second, end = SAID
    async with chatting(sqlite_url) as chat:
        chat.upstream.say(*(bytes([byte]) for byte in first))
        async with chat.stream() as answer:
            told = events(answer)
            assert await anext(told) == ("token", {"text": "Grüße"})

            chat.upstream.say(second[:20], second[20:] + end, None)
            assert [kind async for kind, _ in told] == ["token", "done"]


async def test_a_gateway_that_breaks_off_is_told_as_an_error(sqlite_url: str) -> None:
    async with chatting(sqlite_url) as chat:
        chat.upstream.say(SAID[0])
        async with chat.stream() as answer:
            told = events(answer)
            await anext(told)
            await chat.the.misbehave("gateway", Faults(refuse=True))
            error = {"error": "Failed to send message: the outcome is unknown"}
            assert [event async for event in told] == [("error", error)]
        assert chat.upstream.asked == 1


async def test_who_leaves_in_the_middle_ends_the_work_for_it(sqlite_url: str) -> None:
    async with chatting(sqlite_url) as chat:
        chat.upstream.say(SAID[0])
        async with chat.stream() as answer:
            assert await anext(events(answer)) == ("token", {"text": "Grüße"})
            assert not chat.upstream.left
        await until(lambda: chat.upstream.left == 1, within=1)


async def test_who_leaves_before_the_first_word_ends_the_work_for_it(sqlite_url: str) -> None:
    async with chatting(sqlite_url) as chat:
        waiting = asyncio.create_task(chat.stream().__aenter__())
        await until(lambda: chat.upstream.asked == 1)
        waiting.cancel()
        await until(lambda: chat.upstream.left == 1, within=1)


async def test_whoever_leaves_makes_room_for_those_who_wait(sqlite_url: str) -> None:
    async with chatting(sqlite_url) as chat:
        first = [asyncio.create_task(chat.stream().__aenter__()) for _ in range(OF_A_USER)]
        await until(lambda: chat.upstream.asked == OF_A_USER)
        async with chat.stream() as refused:
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        for each in first:
            each.cancel()
        await until(lambda: chat.upstream.left == OF_A_USER)
        chat.upstream.say(*SAID, None)
        async with chat.stream() as answer:
            assert [kind async for kind, _ in events(answer)] == ["token", "token", "done"]


@pytest.mark.parametrize("headers", [STREAMED, WHOLE], ids=["streamed", "whole"])
async def test_hanging_chats_are_in_no_other_answers_way(headers: dict[str, str], sqlite_url: str) -> None:
    async with chatting(sqlite_url) as chat:
        hanging = [
            asyncio.create_task(
                chat.client.post(
                    "/api/chat",
                    json={"message": "hi"},
                    headers=headers | {"Cookie": f"agentbot-session={token}"},
                )
            )
            for token in EVERYBODYS * OF_A_USER
        ]
        await until(lambda: chat.upstream.asked == AT_ONCE)
        answers = await chat.the.ask_all([plan for plan in READS if plan.name in OF_A_GATEWAY], who=FRANK)

        assert answers.keys() == OF_A_GATEWAY
        for answer in answers.values():
            assert answer.is_complete
            assert answer.seconds < 1
        assert chat.upstream.asked == AT_ONCE
        assert not [each for each in hanging if each.done()]
        chat.upstream.say(*[None] * len(hanging))
        await asyncio.gather(*hanging)

"""Answers as they come: the events, and what becomes of the work when the caller leaves."""

import asyncio

import pytest

from bff.edge.event_stream import while_connected
from bff.edge.exchange import Answer
from tests.virtual_time import settle

DONE = Answer(200, b'{"reply":"Hello"}')
FAILED = Answer(500, b'{"error":"Failed to send message"}')


class Client:
    """What was sent, and whether the caller is still there."""

    def __init__(self):
        self.sent = []
        self._left = asyncio.Event()

    def leave(self):
        self._left.set()

    async def receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def text(self):
        return b"".join(message.get("body", b"") for message in self.sent).decode()


@pytest.fixture
def client():
    return Client()


async def test_token_by_token_and_the_documented_body_at_the_end(client):
    async def work(tell):
        await tell("Hel")
        await tell("lo\n")
        return DONE

    assert await while_connected(client.receive, client.send, work) is None
    start, *bodies = client.sent
    assert start["status"] == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
    assert [body["more_body"] for body in bodies] == [True, True, False]
    assert client.text == (
        'event: token\ndata: {"text":"Hel"}\n\n'
        'event: token\ndata: {"text":"lo\\n"}\n\n'
        'event: done\ndata: {"reply":"Hello"}\n\n'
    )


async def test_without_a_word_on_the_way_the_end_alone(client):
    async def work(tell):
        return DONE

    await while_connected(client.receive, client.send, work)
    assert client.text == 'event: done\ndata: {"reply":"Hello"}\n\n'


async def test_a_failure_before_the_first_word_has_its_status(client):
    async def work(tell):
        return FAILED

    assert await while_connected(client.receive, client.send, work) is FAILED
    assert client.sent == []


async def test_a_failure_in_the_middle_is_the_last_event(client):
    async def work(tell):
        await tell("Hel")
        return FAILED

    assert await while_connected(client.receive, client.send, work) is None
    assert client.text.endswith('event: error\ndata: {"error":"Failed to send message"}\n\n')


@pytest.mark.parametrize("after_a_word", [False, True])
async def test_whoever_leaves_ends_the_work(client, after_a_word):
    ended = asyncio.Event()

    async def work(tell):
        try:
            if after_a_word:
                await tell("Hel")
            await asyncio.sleep(3600)
        finally:
            ended.set()

    streaming = asyncio.ensure_future(while_connected(client.receive, client.send, work))
    await settle()
    client.leave()
    assert await streaming is None
    assert ended.is_set()
    assert "done" not in client.text


async def test_a_stopped_server_ends_the_work(client):
    ended = asyncio.Event()

    async def work(tell):
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    streaming = asyncio.ensure_future(while_connected(client.receive, client.send, work))
    await settle()
    streaming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await streaming
    assert ended.is_set()

"""Talking to a user's agent: what is asked, what comes back, and what a failure leaves behind."""

import asyncio
import json

import httpx
import pytest

from tests.upstreams.answers import Upstream, captured, json_answer
from tests.upstreams.transport.wire import serving
from upstreams.chat import Chat
from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import Address, HostRules, Pipe, Policy
from upstreams.transport import LeanTransport
from upstreams.user_store import Account

SHARED = Address.parse("http://shared.example.com")
USER = Account("u")


def chat(upstream, shared=SHARED, **policy):
    pipe = Pipe("gateway", Policy(**{"timeout": 5.0, "deadline": 5.0, "retries": 5} | policy), upstream)
    return Chat(
        pipe, GatewayDirectory(shared, "shared-token", HostRules(["*.example.com"], shared)), RefusedTokens()
    )


async def whole(chat, account=USER, message="hi"):
    return await chat.reply(account, "bff-user", message)


async def streamed(chat, account=USER, message="hi"):
    async def tell(piece):
        """Take a piece of the reply."""

    return await chat.stream(account, "bff-user", message, tell)


async def failure_of(asking):
    with pytest.raises(UpstreamFailure) as caught:
        await asking
    assert caught.value.upstream == "gateway"
    return caught.value


@pytest.mark.parametrize(("ask", "more"), [(whole, {}), (streamed, {"stream": True})])
async def test_what_is_asked(ask, more):
    upstream = Upstream(captured("openclaw/chat-ok-2026.4.2"))
    own = Account("u", openclaw_url="http://own.example.com", gateway_token="own-token")
    await ask(chat(upstream), own, 'say "hi"\0\r\n')
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("POST", "http://own.example.com/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer own-token"
    assert not [name for name in request.headers if name.startswith("x-")]
    assert json.loads(request.content) == {
        "model": "openclaw/default",
        "user": "bff-user",
        "messages": [{"role": "user", "content": 'say "hi"\0\r\n'}],
        **more,
    }


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (captured("openclaw/chat-ok-2026.4.2"), "Hello from the fake model."),
        (captured("openclaw/single-chat-ok-2026.9.6"), "Hello from the fake model."),
        (captured("openclaw/chat-upstream-500-2026.4.2"), "500 fake upstream failure"),
        (json_answer({"choices": [{"message": {"content": None}}]}), ""),
        (json_answer({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}), "a"),
    ],
)
async def test_a_reply(ask, answer, reply):
    assert await ask(chat(Upstream(answer))) == reply


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize(
    ("answer", "reason", "status", "unknown"),
    [
        (captured("openclaw/chat-disabled-2026.4.2"), Reason.STATUS, 404, False),
        (captured("openclaw/chat-no-token-2026.4.2"), Reason.STATUS, 401, False),
        (captured("openclaw/single-chat-upstream-500-2026.9.6"), Reason.STATUS, 502, False),
        (captured("openclaw/auth-ratelimit-good-token-while-locked-2026.4.2"), Reason.RATE_LIMITED, 429, False),
        (httpx.Response(502, headers={"content-type": "text/html"}), Reason.STATUS, 502, True),
        (httpx.ReadError("gone"), Reason.RESET, None, True),
        (httpx.ConnectError("no"), Reason.REFUSED, None, False),
        (None, Reason.TIMEOUT, None, True),
    ],
)
async def test_a_failure_is_never_tried_again(ask, answer, reason, status, unknown):
    upstream = Upstream(answer)
    failed = await failure_of(ask(chat(upstream, timeout=0.05)))
    assert (failed.reason, failed.status, failed.outcome_unknown) == (reason, status, unknown)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("ask", [whole, streamed])
@pytest.mark.parametrize(
    "answer",
    [captured("openclaw/root-2026.4.2"), json_answer({"choices": []}), json_answer({"choices": [{"message": 1}]})],
    ids=["a page", "no choice", "a number"],
)
async def test_what_is_no_reply_leaves_the_outcome_unknown(ask, answer):
    failed = await failure_of(ask(chat(Upstream(answer))))
    assert (failed.reason, failed.outcome_unknown) == (Reason.MALFORMED, True)


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_a_token_that_was_refused_is_not_tried_again(ask):
    upstream = Upstream(captured("openclaw/chat-no-token-2026.4.2"))
    talking = chat(upstream)
    for _ in range(3):
        assert (await failure_of(ask(talking))).status == 401
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_without_a_gateway_nothing_is_asked(ask):
    assert (await failure_of(ask(chat(Upstream(), shared=None)))).reason is Reason.DISABLED


# Over the network.

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(content):
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % content.encode()


@pytest.fixture
async def talk():
    """Return a function that streams a reply of a server, and the pieces that have come of it."""
    async with LeanTransport() as transport:

        def begin(server, **policy):
            pieces: asyncio.Queue[str] = asyncio.Queue()
            talking = chat(transport, Address.parse(server.url), **policy)
            return asyncio.create_task(talking.stream(USER, "c", "hi", pieces.put)), pieces

        yield begin


async def test_each_piece_is_told_before_the_next_is_sent(talk):
    async def script(peer):
        await peer.answer(HEAD)
        for text in ("Grüß ", "dich"):
            await peer.send(chunk(event(text)))
            await told.wait()
            told.clear()
        await peer.send(chunk(b"data: [DONE]\n\n"), chunk(b""))

    told = asyncio.Event()
    async with serving(script) as server, asyncio.timeout(5):
        reply, pieces = talk(server)
        for text in ("Grüß ", "dich"):
            assert await pieces.get() == text
            told.set()
        assert await reply == "Grüß dich"


async def test_a_character_that_comes_in_two_halves(talk):
    async def script(peer):
        await peer.answer(HEAD)
        sent = event("😀")
        cut = sent.index("😀".encode()) + 2
        await peer.send(chunk(event("first")), chunk(sent[:cut]))
        await first.wait()
        await peer.send(chunk(sent[cut:] + b"data: [DONE]\n\n"), chunk(b""))

    first = asyncio.Event()
    async with serving(script) as server, asyncio.timeout(5):
        reply, pieces = talk(server)
        assert await pieces.get() == "first"
        first.set()
        assert await reply == "first😀"


async def test_leaving_closes_the_connection(talk):
    async def script(peer):
        await peer.answer(HEAD, chunk(event("first")))
        await peer.reader.read()

    async with serving(script) as server, asyncio.timeout(5):
        reply, pieces = talk(server)
        await pieces.get()
        reply.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reply
        await server.peers[0].closed.wait()


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        pytest.param([], Reason.RESET, id="closed within"),
        pytest.param([chunk(b"")], Reason.MALFORMED, id="ended without its end"),
        pytest.param(
            [chunk(b"data: " + b"x" * 65536), *[chunk(b"x" * 65536)] * 20], Reason.TOO_LARGE, id="huge line"
        ),
    ],
)
async def test_a_reply_that_breaks_off_has_told_what_came(talk, then, reason):
    async def script(peer):
        await peer.answer(HEAD, chunk(event("first")), *then)

    async with serving(script) as server:
        reply, pieces = talk(server)
        failed = await failure_of(reply)
        assert (failed.reason, failed.outcome_unknown) == (reason, True)
        assert pieces.get_nowait() == "first"
        assert len(server.peers) == 1


@pytest.mark.parametrize("then", ["keeps it open", "says more", "breaks off"])
async def test_a_reply_ends_with_its_end_whatever_the_gateway_does_then(talk, then):
    async def script(peer):
        await peer.answer(HEAD, chunk(event("whole") + b"data: [DONE]\n\n"))
        if then == "says more":
            await peer.send(chunk(b"data: garbage\n\n"))
        if then != "breaks off":
            await peer.reader.read()

    async with serving(script) as server, asyncio.timeout(5):
        reply, pieces = talk(server, timeout=60.0, deadline=60.0)
        assert await reply == "whole"
        assert pieces.get_nowait() == "whole"
        await server.peers[0].closed.wait()


BROKEN = b'data: {"error": {"message": "no"}}\n\n'


@pytest.mark.parametrize(
    "sent", [BROKEN, b"data: garbage\n\n", b"x" * 2_000_000], ids=["error", "garbage", "huge"]
)
async def test_what_is_wrong_with_one_reply_shuts_nobody_out(sent):
    upstream = Upstream(*[httpx.Response(200, content=sent)] * 5, captured("openclaw/chat-ok-2026.4.2"))
    talking = chat(upstream, failures=2, patient=True)
    for _ in range(5):
        await failure_of(streamed(talking))
    assert await whole(talking) == "Hello from the fake model."


async def test_a_reply_that_stops_coming_is_a_timeout(talk):
    async def script(peer):
        await peer.answer(HEAD, chunk(event("first")))
        await peer.reader.read()

    async with serving(script) as server:
        reply, pieces = talk(server, timeout=0.2)
        assert (await failure_of(reply)).reason is Reason.TIMEOUT
        assert pieces.get_nowait() == "first"
        await server.peers[0].closed.wait()

"""Calls that change something: what is sent, that it is sent once, and what is known when it fails."""

import asyncio

import httpx
import msgspec
import pytest

from tests.upstreams.answers import Upstream, json_answer
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

ANYTHING = msgspec.json.Decoder()
HERE = Address.parse("http://here.example.com/base")
PATIENT = Policy(timeout=5.0, deadline=5.0, retries=5)
HTML = {"content-type": "text/html"}


async def sent(*answers, method="POST", **options):
    """Return what came of one unsafe call, and the requests that it took."""
    upstream = Upstream(*answers)
    try:
        outcome = await Pipe("up", PATIENT, upstream).send(
            HERE, method, "/things", into=ANYTHING, max_bytes=64, **options
        )
    except UpstreamFailure as failure:
        outcome = failure
    return outcome, upstream.requests


async def taken(piece):
    """Take a piece of a streamed answer."""


async def streamed(*answers):
    upstream = Upstream(*answers)
    try:
        outcome = await Pipe("up", PATIENT, upstream).stream(
            HERE, "/things", content=b"{}", sink=taken, max_bytes=64
        )
    except UpstreamFailure as failure:
        outcome = failure
    return outcome, upstream.requests


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_call_without_a_body(method):
    outcome, [request] = await sent(json_answer({"success": True}), method=method)
    assert outcome == {"success": True}
    assert (request.method, str(request.url), request.content) == (
        method,
        "http://here.example.com/base/things",
        b"",
    )
    assert "content-type" not in request.headers


async def test_a_call_with_everything():
    fields = {"x-user-id": "u", "x-user-email": "zoë@example.com"}
    _, [request] = await sent(json_answer([]), content=b'{"a":1}', bearer="secret", headers=fields)
    assert dict(request.headers.raw) == {
        b"Host": b"here.example.com",
        b"Content-Length": b"7",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"user-agent": b"bff",
        b"authorization": b"Bearer secret",
        b"content-type": b"application/json",
        b"x-user-id": b"u",
        b"x-user-email": "zoë@example.com".encode(),
    }


async def test_a_read_sends_further_headers_too():
    upstream = Upstream(json_answer([]), json_answer([]))
    piped, fields = Pipe("up", Policy(), upstream), {"cookie": "a=b"}
    await piped.get(HERE, "/", into=ANYTHING, headers=fields)
    await piped.probe(HERE, HERE.url("/"), headers=fields, max_bytes=64)
    assert [request.headers["cookie"] for request in upstream.requests] == ["a=b", "a=b"]


@pytest.mark.parametrize("value", ["a\r\nx-user-role: admin", "a\n", "a\rb", "a\0b", "\x7f", "\ud800"], ids=repr)
async def test_a_header_that_would_break_out_is_never_sent(value):
    outcome, requests = await sent(headers={"x-user-id": "u", "x-user-email": value})
    assert (outcome.reason, outcome.outcome_unknown, requests) == (Reason.MALFORMED, False, [])


@pytest.mark.parametrize("call", [sent, streamed])
async def test_it_has_a_connection_of_its_own(call):
    _, [request] = await call(json_answer([]))
    assert request.extensions["fresh_connection"] is True


async def test_a_read_takes_a_kept_connection():
    upstream = Upstream(json_answer([]), json_answer([]))
    piped = Pipe("up", Policy(), upstream)
    await piped.get(HERE, "/", into=ANYTHING)
    await piped.query(HERE, "/", content=b"{}", into=ANYTHING)
    assert [request.extensions["fresh_connection"] for request in upstream.requests] == [False, False]


def status(code, **headers):
    return httpx.Response(code, headers=headers or HTML, content=b"<h1>no</h1>")


def in_json(code):
    return httpx.Response(code, headers={"content-type": "application/problem+json; charset=utf-8"}, content=b"{}")


FAILURES = [
    # What the upstream does; why that fails; whether the call may have arrived; whether it may have been done.
    pytest.param(httpx.ConnectError("no"), Reason.REFUSED, False, False, id="refused"),
    pytest.param(None, Reason.TIMEOUT, True, True, id="no answer in time"),
    pytest.param(httpx.ReadError("gone"), Reason.RESET, True, True, id="reset"),
    pytest.param(httpx.RemoteProtocolError("what?"), Reason.MALFORMED, True, True, id="not HTTP"),
    pytest.param(httpx.Response(200, content=bytes(100)), Reason.TOO_LARGE, True, True, id="too large"),
    pytest.param(status(400), Reason.STATUS, True, False, id="400"),
    pytest.param(status(500), Reason.STATUS, True, False, id="500"),
    pytest.param(status(502), Reason.STATUS, True, True, id="502 of a proxy"),
    pytest.param(status(504), Reason.STATUS, True, True, id="504 of a proxy"),
    pytest.param(status(503), Reason.STATUS, True, False, id="503"),
    pytest.param(in_json(502), Reason.STATUS, True, False, id="502 of the API"),
    pytest.param(in_json(504), Reason.STATUS, True, False, id="504 of the API"),
    pytest.param(status(429), Reason.RATE_LIMITED, True, False, id="429"),
]


@pytest.mark.parametrize("call", [sent, streamed])
@pytest.mark.parametrize(("answer", "reason", "unsafe", "unknown"), FAILURES)
async def test_it_is_tried_once_and_what_is_known_is_told(call, answer, reason, unsafe, unknown):
    outcome, requests = await call(answer)
    assert (outcome.reason, outcome.unsafe, outcome.outcome_unknown) == (reason, unsafe, unknown)
    assert len(requests) == 1


async def test_an_answer_that_cannot_be_decoded_leaves_the_outcome_unknown():
    outcome, _ = await sent(httpx.Response(200, headers=HTML, content=b"<html>"))
    assert (outcome.reason, outcome.outcome_unknown) == (Reason.MALFORMED, True)


@pytest.mark.parametrize(("answer", "reason", "unsafe", "unknown"), FAILURES)
async def test_a_read_changes_nothing_however_it_fails(answer, reason, unsafe, unknown):
    piped = Pipe("up", Policy(retries=0), Upstream(answer))
    with pytest.raises(UpstreamFailure) as caught:
        await piped.query(HERE, "/things", content=b"{}", into=ANYTHING, max_bytes=64)
    assert (caught.value.reason, caught.value.unsafe, caught.value.outcome_unknown) == (reason, False, False)


async def unsafe_behind(upstream, **policy):
    piped = Pipe("up", Policy(timeout=9.0, deadline=1.0, **policy), upstream)
    first = asyncio.create_task(piped.send(HERE, "POST", "/", into=ANYTHING))
    await settle()
    with pytest.raises(UpstreamFailure) as caught:
        await piped.send(HERE, "POST", "/", into=ANYTHING)
    await asyncio.gather(first, return_exceptions=True)
    assert len(upstream.requests) == 1
    return caught.value


async def test_what_is_never_sent_has_a_known_outcome():
    saturated = await unsafe_behind(Upstream(None), max_concurrency=1)
    assert (saturated.reason, saturated.unsafe, saturated.outcome_unknown) == (Reason.SATURATED, False, False)
    left_alone = await unsafe_behind(Upstream(httpx.ConnectError("no")), failures=1)
    assert (left_alone.reason, left_alone.unsafe) == (Reason.BREAKER_OPEN, False)

"""The layers together: what is sent, how long it takes, and that one host's trouble is its own."""

import asyncio

import httpx
import msgspec
import pytest

from tests.upstreams.answers import Upstream, json_answer
from tests.virtual_time import settle
from upstreams import trace
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

ANYTHING = msgspec.json.Decoder()
HERE = Address.parse("http://here.example.com/base")
THERE = Address.parse("http://there.example.com")
ALWAYS_SENT = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "bff"}


def refused(times=1):
    return [httpx.ConnectError("no") for _ in range(times)]


def pipe(upstream, **policy):
    return Pipe("up", Policy(**policy), upstream)


async def reason_of(asked):
    with pytest.raises(UpstreamFailure) as caught:
        await asked
    return caught.value.reason


@pytest.fixture
def traced():
    token = trace.traceparent.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    yield trace.traceparent.get()
    trace.traceparent.reset(token)


async def test_a_get_sends_nothing_but_what_it_must():
    upstream = Upstream(json_answer([]))
    assert await pipe(upstream).get(HERE, "/items", into=ANYTHING) == []
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("GET", "http://here.example.com/base/items")
    assert dict(request.headers) == {**ALWAYS_SENT, "host": "here.example.com"}
    assert request.content == b""


async def test_a_get_with_everything(traced):
    upstream = Upstream(json_answer([]))
    await pipe(upstream).get(THERE, "/items", into=ANYTHING, params={"id": "a&b=#/ü", "n": 2}, bearer="secret")
    [request] = upstream.requests
    assert request.url.query == b"id=a%26b%3D%23%2F%C3%BC&n=2"
    assert dict(request.headers) == {
        **ALWAYS_SENT,
        "host": "there.example.com",
        "authorization": "Bearer secret",
        "traceparent": traced,
    }


async def test_a_query_sends_its_json():
    upstream = Upstream(json_answer([]))
    await pipe(upstream).query(THERE, "/tools", content=b'{"tool":1}', into=ANYTHING, bearer="secret")
    [request] = upstream.requests
    assert (request.method, request.content) == ("POST", b'{"tool":1}')
    assert dict(request.headers) == {
        **ALWAYS_SENT,
        "host": "there.example.com",
        "authorization": "Bearer secret",
        "content-type": "application/json",
        "content-length": "10",
    }


async def test_a_probe_asks_for_the_address_itself_and_takes_any_status():
    upstream = Upstream(httpx.Response(503, content=b"busy"))
    reply = await pipe(upstream).probe(HERE, HERE.url(""), max_bytes=1024)
    assert (reply.status, reply.body) == (503, b"busy")
    assert str(upstream.requests[0].url) == "http://here.example.com/base"


@pytest.mark.parametrize("public_only", [True, False])
async def test_the_transport_is_told_where_it_may_connect(public_only):
    upstream = Upstream(json_answer([]))
    at = Address.parse("http://here.example.com", public_only=public_only)
    await pipe(upstream).get(at, "/", into=ANYTHING)
    assert upstream.requests[0].extensions["public_only"] is public_only


async def test_a_failed_read_is_repeated():
    upstream = Upstream(*refused(), json_answer("get"), *refused(), json_answer("query"))
    piped = pipe(upstream)
    assert await piped.get(HERE, "/", into=ANYTHING) == "get"
    assert await piped.query(HERE, "/", content=b"{}", into=ANYTHING) == "query"


async def elapsed(asked):
    loop = asyncio.get_running_loop()
    before = loop.time()
    reason = await reason_of(asked)
    return reason, round(loop.time() - before, 3)


async def test_one_attempt_ends_at_its_timeout():
    asked = pipe(Upstream(None), timeout=0.5, deadline=2.0, retries=3).get(HERE, "/", into=ANYTHING)
    assert await elapsed(asked) == (Reason.TIMEOUT, 0.5)


async def test_the_deadline_holds_while_waiting_for_a_place():
    piped = pipe(Upstream(None), timeout=5.0, deadline=1.0, max_concurrency=1)
    first = asyncio.create_task(elapsed(piped.get(HERE, "/", into=ANYTHING)))
    await settle()
    second = await elapsed(piped.get(HERE, "/", into=ANYTHING))
    assert {await first, second} <= {(Reason.TIMEOUT, 1.0), (Reason.SATURATED, 1.0)}


async def test_the_time_spent_waiting_for_a_place_is_not_given_again():
    piped = pipe(Upstream(None, None), timeout=0.6, deadline=1.0, max_concurrency=1)
    first = asyncio.create_task(elapsed(piped.get(HERE, "/", into=ANYTHING)))
    await settle()
    assert await elapsed(piped.get(HERE, "/", into=ANYTHING)) == (Reason.TIMEOUT, 1.0)
    assert await first == (Reason.TIMEOUT, 0.6)


async def test_the_deadline_holds_while_retrying():
    piped = pipe(Upstream(*refused(), None), timeout=5.0, deadline=1.0, retries=5)
    assert await elapsed(piped.get(HERE, "/", into=ANYTHING)) == (Reason.TIMEOUT, 1.0)


async def test_a_call_with_its_retries_counts_once_for_the_breaker():
    upstream = Upstream(*refused(4), json_answer("answer"))
    piped = pipe(upstream, retries=1, failures=3)
    for _ in range(2):
        assert await reason_of(piped.get(HERE, "/", into=ANYTHING)) is Reason.REFUSED
    assert await piped.get(HERE, "/", into=ANYTHING) == "answer"


async def test_a_host_in_trouble_is_left_alone_and_the_others_are_not():
    upstream = Upstream(*refused(2), json_answer("there"))
    piped = pipe(upstream, retries=0, failures=2, open_for=60)
    for _ in range(2):
        assert await reason_of(piped.get(HERE, "/", into=ANYTHING)) is Reason.REFUSED
    assert await reason_of(piped.get(HERE, "/other", into=ANYTHING)) is Reason.BREAKER_OPEN
    assert await piped.get(THERE, "/", into=ANYTHING) == "there"


async def test_a_patient_pipe_thinks_nothing_of_calls_that_take_too_long():
    upstream = Upstream(*[None] * 3, json_answer("answer"))
    piped = pipe(upstream, failures=2, patient=True)
    for _ in range(3):
        assert await reason_of(piped.get(HERE, "/", into=ANYTHING)) is Reason.TIMEOUT
    assert await piped.get(HERE, "/", into=ANYTHING) == "answer"


async def test_a_patient_pipe_notices_a_dead_host_as_any_other():
    piped = pipe(Upstream(*refused(2)), retries=0, failures=2, patient=True)
    reasons = [await reason_of(piped.get(HERE, "/", into=ANYTHING)) for _ in range(3)]
    assert reasons == [Reason.REFUSED, Reason.REFUSED, Reason.BREAKER_OPEN]


async def test_a_host_that_hangs_holds_only_its_own_places():
    piped = pipe(Upstream(None, json_answer("there")), max_concurrency=1, max_queue=0)
    hung = asyncio.create_task(piped.get(HERE, "/", into=ANYTHING))
    await settle()
    assert await reason_of(piped.get(HERE, "/", into=ANYTHING)) is Reason.SATURATED
    assert await piped.get(THERE, "/", into=ANYTHING) == "there"
    hung.cancel()
    await asyncio.gather(hung, return_exceptions=True)


async def test_a_dead_host_uses_up_no_retries_of_another():
    dead, other = Address.parse("http://dead.example.com"), Address.parse("http://other.example.com")
    upstream = Upstream(*refused(100))
    piped = pipe(upstream, retries=1, failures=1_000)
    for _ in range(40):
        await reason_of(piped.get(dead, "/", into=ANYTHING))
    asked = len(upstream.requests)
    assert asked < 40 + 20
    await reason_of(piped.get(other, "/", into=ANYTHING))
    assert len(upstream.requests) == asked + 2

"""A host that asks to be left alone is left alone, for as long as it asks but never for long."""

import asyncio

import httpx
import msgspec
import pytest

from tests.upstreams.answers import Upstream, json_answer
from tests.upstreams.pipe.calls import Held, Script, call, failure
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy, Reply
from upstreams.pipe.throttle import Throttle

ANYTHING = msgspec.json.Decoder()
HERE = Address.parse("http://here.example.com")
THERE = Address.parse("http://there.example.com")


def locked_out(seconds=20.0):
    return failure(Reason.RATE_LIMITED, status=429, retry_after=seconds)


def unavailable(seconds=20.0):
    return failure(Reason.STATUS, status=503, retry_after=seconds)


async def outcome(throttle):
    try:
        return await throttle(call())
    except UpstreamFailure as failed:
        return failed


async def paused(throttle, upstream):
    """Return for how many seconds calls are refused without being sent."""
    sent = len(upstream.called_at)
    refused = await outcome(throttle)
    if len(upstream.called_at) > sent:
        return 0
    assert (refused.upstream, refused.reason, refused.status) == ("up", Reason.RATE_LIMITED, 429)
    assert not refused.unsafe
    await asyncio.sleep(refused.retry_after - 0.01)
    assert (await outcome(throttle)).reason is Reason.RATE_LIMITED
    assert len(upstream.called_at) == sent
    await asyncio.sleep(0.02)
    await outcome(throttle)
    assert len(upstream.called_at) == sent + 1
    return refused.retry_after


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (locked_out(20.0), 20),
        (locked_out(1.0), 1),
        (locked_out(60.0), 60),
        (locked_out(3600.0), 60),
        (unavailable(20.0), 20),
        (unavailable(3600.0), 60),
        (Reply(429, 20.0, b""), 20),
        (Reply(503, 3600.0, b""), 60),
        (failure(Reason.TOO_LARGE, status=503, retry_after=5.0), 5),
        (locked_out(0.0), 0),
        (locked_out(None), 0),
        (Reply(429, None, b""), 0),
        (unavailable(None), 0),
        (Reply(200, 20.0, b""), 0),
        (failure(Reason.STATUS, status=500, retry_after=20.0), 0),
        (failure(Reason.STATUS, status=401, retry_after=20.0), 0),
        (failure(Reason.STATUS, status=301, retry_after=20.0), 0),
        (failure(Reason.MALFORMED, status=200, retry_after=20.0), 0),
        (failure(Reason.REFUSED), 0),
        ("answer", 0),
    ],
    ids=str,
)
async def test_how_long_a_host_is_left_alone(said, seconds):
    upstream = Script(said, "answer")
    throttle = Throttle("up", upstream)
    assert await outcome(throttle) is said
    assert await paused(throttle, upstream) == pytest.approx(seconds)


async def test_it_may_ask_again_but_is_asked_in_between():
    upstream = Script(*[locked_out(3600.0) for _ in range(9)], "answer")
    throttle = Throttle("up", upstream)
    for _ in range(9 * 60 + 1):
        await outcome(throttle)
        await asyncio.sleep(1)
    assert [at - upstream.called_at[0] for at in upstream.called_at] == [60 * number for number in range(10)]


async def test_answers_to_what_was_sent_before_do_not_prolong_the_pause():
    upstream = Held()
    throttle = Throttle("up", upstream)
    before = [asyncio.create_task(outcome(throttle)) for _ in range(5)]
    await settle()
    for sent in upstream.calls:
        sent.set_exception(locked_out(60.0))
        await asyncio.sleep(20)  # the last come when the pause is over
    await asyncio.gather(*before)
    again = asyncio.create_task(outcome(throttle))
    await settle()
    upstream.calls[5].set_result("answer")
    assert await again == "answer"


async def reason_of(asked):
    with pytest.raises(UpstreamFailure) as caught:
        await asked
    return caught.value.reason


def asks(seconds):
    return httpx.Response(429, headers={"retry-after": str(seconds)})


async def taken(piece):
    """Take a piece of a streamed answer."""


EVERY_WAY = {
    "get": lambda pipe: pipe.get(HERE, "/healthz", into=ANYTHING),
    "query": lambda pipe: pipe.query(HERE, "/", content=b"{}", into=ANYTHING),
    "probe": lambda pipe: pipe.probe(HERE, HERE.url("/health"), max_bytes=64),
    "send": lambda pipe: pipe.send(HERE, "POST", "/", into=ANYTHING),
    "stream": lambda pipe: pipe.stream(HERE, "/", content=b"{}", sink=taken),
}


@pytest.mark.parametrize("first", EVERY_WAY)
@pytest.mark.parametrize("then", EVERY_WAY)
async def test_no_call_to_the_host_is_exempt(first, then):
    upstream = Upstream(asks(20))
    pipe = Pipe("up", Policy(), upstream)
    if first == "probe":
        assert (await EVERY_WAY[first](pipe)).status == 429
    else:
        assert await reason_of(EVERY_WAY[first](pipe)) is Reason.RATE_LIMITED
    assert await reason_of(EVERY_WAY[then](pipe)) is Reason.RATE_LIMITED
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("way", EVERY_WAY.keys() - {"probe"})
async def test_what_a_patient_pipe_is_told_is_for_that_call_alone(way):
    upstream = Upstream(asks(20), httpx.Response(503, headers={"retry-after": "20"}), asks(20))
    pipe = Pipe("up", Policy(patient=True, retries=0), upstream)
    reasons = [await reason_of(EVERY_WAY[way](pipe)) for _ in range(3)]
    assert reasons == [Reason.RATE_LIMITED, Reason.STATUS, Reason.RATE_LIMITED]
    assert len(upstream.requests) == 3


async def test_other_hosts_are_asked_as_ever():
    pipe = Pipe("up", Policy(), Upstream(asks(20), json_answer("there")))
    assert await reason_of(pipe.get(HERE, "/", into=ANYTHING)) is Reason.RATE_LIMITED
    assert await pipe.get(THERE, "/", into=ANYTHING) == "there"


async def test_the_pause_opens_no_breaker_and_waits_for_no_place():
    pipe = Pipe("up", Policy(failures=2, max_concurrency=2), Upstream(None, asks(5), json_answer("answer")))
    hung = asyncio.create_task(reason_of(pipe.get(HERE, "/", into=ANYTHING)))
    await settle()
    before = asyncio.get_running_loop().time()
    reasons = await asyncio.gather(*(reason_of(pipe.get(HERE, "/", into=ANYTHING)) for _ in range(50)))
    assert set(reasons) == {Reason.RATE_LIMITED}
    assert asyncio.get_running_loop().time() == before
    assert await hung is Reason.TIMEOUT
    await asyncio.sleep(5)
    assert await pipe.get(HERE, "/", into=ANYTHING) == "answer"


async def test_a_retry_waits_for_the_pause_that_its_own_call_was_asked_for():
    unavailable = httpx.Response(503, headers={"retry-after": "1"})
    pipe = Pipe("up", Policy(deadline=5.0), Upstream(unavailable, json_answer("answer")))
    first = asyncio.create_task(pipe.get(HERE, "/", into=ANYTHING))
    await settle()
    assert await reason_of(pipe.get(HERE, "/", into=ANYTHING)) is Reason.RATE_LIMITED
    assert await first == "answer"

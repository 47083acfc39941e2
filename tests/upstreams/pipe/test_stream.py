"""A body that goes to its taker as it comes, and what ends it."""

import asyncio

import httpx
import pytest

from tests.upstreams.answers import Never, Upstream
from tests.upstreams.pipe.calls import Body, call
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import Sink
from upstreams.pipe.fetch import Fetch


async def fetch(answer, take, **options):
    fetching = Fetch("up", Upstream(answer), attempt_timeout=1.5)
    return await fetching(call(decoder=None, sink=Sink(take), **options))


async def failure_of(answer, take, **options):
    with pytest.raises(UpstreamFailure) as caught:
        await fetch(answer, take, **options)
    return caught.value


class Taker:
    """Takes the pieces of a streamed answer, each after ``seconds``."""

    def __init__(self, seconds=0.0):
        self.pieces = []
        self._seconds = seconds

    async def __call__(self, piece):
        self.pieces.append(piece)
        await asyncio.sleep(self._seconds)


async def test_a_streamed_answer_goes_to_its_taker_piece_by_piece():
    taker, body = Taker(), Body(b"one", b"two", b"three")
    assert await fetch(httpx.Response(200, stream=body), taker) is None
    assert taker.pieces == [b"one", b"two", b"three"]
    assert body.closed


async def test_a_taker_that_wants_no_more_ends_the_stream():
    async def take(piece):
        return piece == b"two"

    body = Body(b"one", b"two", httpx.ReadError("gone"))
    assert await fetch(httpx.Response(200, stream=body), take) is None
    assert (body.read, body.closed) == (2, True)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404, content=b"not found"), Reason.STATUS),
        (httpx.Response(302, content=b"elsewhere"), Reason.STATUS),
        (httpx.Response(429, content=b"later"), Reason.RATE_LIMITED),
        (httpx.Response(200, headers={"content-encoding": "gzip"}, stream=Body(b"\x1f\x8b")), Reason.MALFORMED),
    ],
)
async def test_what_is_no_answer_is_not_streamed(answer, reason):
    taker = Taker()
    assert (await failure_of(answer, taker)).reason is reason
    assert taker.pieces == []


async def test_a_stream_of_too_many_bytes_ends():
    taker, body = Taker(), Body(b"123", b"45", b"6")
    failed = await failure_of(httpx.Response(200, stream=body), taker, max_bytes=4)
    assert (failed.reason, taker.pieces, body.closed) == (Reason.TOO_LARGE, [b"123"], True)


async def test_a_stream_that_breaks_off_is_a_reset():
    taker, body = Taker(), Body(b"123", httpx.ReadError("gone"))
    failed = await failure_of(httpx.Response(200, stream=body), taker)
    assert (failed.reason, taker.pieces, body.closed) == (Reason.RESET, [b"123"], True)


@pytest.mark.parametrize(
    ("stream", "seconds", "reason"),
    [(Never(), 0.0, Reason.TIMEOUT), (Body(b"one", b"two"), 9.0, Reason.SATURATED)],
    ids=["the upstream is slow", "who takes it is slow"],
)
async def test_a_stream_that_is_late_is_the_fault_of_who_is_slow(stream, seconds, reason):
    failed = await failure_of(httpx.Response(200, stream=stream), Taker(seconds), idempotent=False)
    assert (failed.reason, failed.outcome_unknown) == (reason, True)


async def test_what_the_taker_of_a_stream_raises_ends_it():
    async def full(piece):
        raise BlockingIOError

    body = Body(b"one", b"two")
    with pytest.raises(BlockingIOError):
        await fetch(httpx.Response(200, stream=body), full)
    assert (body.read, body.closed) == (1, True)

"""An upstream in trouble is left alone, and asked again by one probe at a time."""

import asyncio

import pytest

from tests.upstreams.pipe.calls import Held, Script, call, failure
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Breaker

TROUBLE = [
    failure(Reason.TIMEOUT),
    failure(Reason.REFUSED),
    failure(Reason.RESET),
    failure(Reason.DNS),
    failure(Reason.TLS),
    failure(Reason.TOO_LARGE, status=200),
    failure(Reason.MALFORMED, status=200),
    failure(Reason.STATUS, status=500),
    failure(Reason.STATUS, status=503),
    failure(Reason.STATUS),
]
ANSWERS = [
    failure(Reason.STATUS, status=301),
    failure(Reason.STATUS, status=401),
    failure(Reason.STATUS, status=404),
    failure(Reason.STATUS, status=499),
    failure(Reason.RATE_LIMITED, status=429),
    failure(Reason.SATURATED),
    failure(Reason.DISABLED),
]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def breaker(upstream, clock, failures=3, open_for=5.0):
    return Breaker("up", upstream, failures=failures, open_for=open_for, clock=clock)


async def outcome(breaker):
    try:
        return await breaker(call())
    except UpstreamFailure as failed:
        return failed.reason


async def open_after(outcomes, clock):
    """Return whether the breaker of three failures is open after the upstream's ``outcomes``."""
    guarded = breaker(Script(*outcomes, "answer"), clock)
    for _ in outcomes:
        await outcome(guarded)
    return await outcome(guarded) is Reason.BREAKER_OPEN


@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
async def test_opens_after_so_many_failures_in_a_row(trouble, clock):
    assert not await open_after([trouble] * 2, clock)
    assert await open_after([trouble] * 3, clock)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_what_says_nothing_bad_of_the_upstream_does_not_count(answer, clock):
    assert not await open_after([answer] * 10, clock)


async def test_a_success_begins_the_count_anew(clock):
    assert not await open_after([failure(), failure(), "answer", failure(), failure()], clock)


async def test_what_does_not_count_does_not_heal_either(clock):
    not_found = failure(Reason.STATUS, status=404)
    assert await open_after([failure(), failure(), not_found, failure()], clock)


async def test_a_cancelled_call_counts_as_nothing(clock):
    upstream = Held()
    guarded = breaker(upstream, clock, failures=1)
    task = asyncio.create_task(guarded(call()))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    another = asyncio.create_task(guarded(call()))
    await settle()
    upstream.calls[1].set_result("answer")
    assert await another == "answer"


async def opened(upstream, clock):
    guarded = breaker(upstream, clock, failures=1, open_for=5.0)
    assert await outcome(guarded) is Reason.REFUSED
    return guarded


async def test_an_open_breaker_leaves_the_upstream_alone_until_the_pause_is_over(clock):
    upstream = Script(failure(), "answer", "answer")
    guarded = await opened(upstream, clock)
    clock.now += 4.9
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    assert len(upstream.called_at) == 1
    clock.now += 0.2
    assert await outcome(guarded) == "answer"
    assert await outcome(guarded) == "answer"


async def test_a_failed_probe_is_followed_by_another_pause(clock):
    upstream = Script(failure(), failure(), "answer")
    guarded = await opened(upstream, clock)
    clock.now += 5
    assert await outcome(guarded) is Reason.REFUSED
    clock.now += 4.9
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 0.2
    assert await outcome(guarded) == "answer"


async def opened_and_probing(clock):
    upstream = Held()
    guarded = breaker(upstream, clock, failures=1)
    first = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[0].set_exception(failure())
    await first
    clock.now += 5
    probe = asyncio.create_task(outcome(guarded))
    await settle()
    return upstream, guarded, probe


async def test_one_probe_at_a_time(clock):
    upstream, guarded, probe = await opened_and_probing(clock)
    clock.now += 100
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    upstream.calls[1].set_result("answer")
    assert await probe == "answer"
    assert len(upstream.calls) == 2


async def test_a_cancelled_probe_makes_way_for_the_next(clock):
    upstream, guarded, probe = await opened_and_probing(clock)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    another = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[2].set_result("answer")
    assert await another == "answer"

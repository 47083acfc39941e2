"""An upstream in trouble is left alone after so many failures in a row, and asked again by a probe now and then.

What share of its calls opens the breaker is in test_breaker_window.
"""

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
    failure(Reason.MALFORMED),
    failure(Reason.TOO_LARGE, status=500),
    failure(Reason.STATUS, status=500),
    failure(Reason.STATUS, status=503),
    failure(Reason.STATUS),
    # A proxy's word for it, and an API that says it is not well itself.
    failure(Reason.STATUS, status=502, unsafe=True),
    failure(Reason.STATUS, status=503, in_json=True),
    failure(Reason.STATUS, status=503, unsafe=True, in_json=True),
]
# An API's own word for a read.
OWN_WORDS = [
    failure(Reason.STATUS, status=500, in_json=True),
    failure(Reason.STATUS, status=502, in_json=True),
    failure(Reason.TOO_LARGE, status=500, in_json=True),
]
ANSWERS = [
    "answer",
    failure(Reason.STATUS, status=301),
    failure(Reason.STATUS, status=401),
    failure(Reason.STATUS, status=404),
    failure(Reason.STATUS, status=499),
    # They came, whatever is in them.
    failure(Reason.TOO_LARGE, status=200),
    failure(Reason.MALFORMED, status=200),
    failure(Reason.MALFORMED, status=200, unsafe=True),
    failure(Reason.TOO_LARGE, status=404),
    # An API's own word for what became of a change.
    failure(Reason.STATUS, status=500, unsafe=True, in_json=True),
    failure(Reason.STATUS, status=502, unsafe=True, in_json=True),
    failure(Reason.STATUS, status=504, unsafe=True, in_json=True),
]
NOTHING = [
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


def breaker(upstream, clock, failures=3, open_for=5.0, dice=lambda: 0.0, **options):
    return Breaker("up", upstream, failures=failures, open_for=open_for, clock=clock, dice=dice, **options)


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


@pytest.mark.parametrize("own_word", OWN_WORDS, ids=str)
async def test_an_apis_own_word_for_a_read_makes_no_row_and_ends_none(own_word, clock):
    assert not await open_after([own_word] * 19, clock)
    assert not await open_after([failure(), failure(), own_word, own_word], clock)
    assert await open_after([failure(), failure(), own_word, failure()], clock)


@pytest.mark.parametrize("harmless", [*ANSWERS, *NOTHING], ids=str)
async def test_what_says_nothing_bad_of_the_upstream_does_not_open_it(harmless, clock):
    assert not await open_after([harmless] * 100, clock)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_an_answer_begins_the_count_anew(answer, clock):
    assert not await open_after([failure(), failure(), answer, failure(), failure()], clock)


@pytest.mark.parametrize("nothing", NOTHING, ids=str)
async def test_what_says_nothing_of_the_upstream_does_not_heal_either(nothing, clock):
    assert await open_after([failure(), failure(), nothing, failure()], clock)


async def test_what_is_excused_says_nothing(clock):
    guarded = breaker(Script(*[failure(Reason.MALFORMED)] * 9), clock, excused={Reason.MALFORMED})
    assert {await outcome(guarded) for _ in range(9)} == {Reason.MALFORMED}


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


async def opened_and_probing(clock, open_for=5.0, **options):
    upstream = Held()
    guarded = breaker(upstream, clock, failures=1, open_for=open_for, **options)
    first = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[0].set_exception(failure())
    await first
    clock.now += open_for
    probe = asyncio.create_task(outcome(guarded))
    await settle()
    return upstream, guarded, probe


async def also_probing(guarded, upstream, sent):
    """Return another probe, which is the upstream's call number ``sent``."""
    probe = asyncio.create_task(outcome(guarded))
    await settle()
    assert len(upstream.calls) == sent
    return probe


@pytest.mark.parametrize(("open_for", "alone_for"), [(0.1, 2.0), (1.0, 2.0), (5.0, 5.0)])
async def test_a_slow_probe_keeps_others_away_for_two_seconds_or_the_pause(open_for, alone_for, clock):
    upstream, guarded, probe = await opened_and_probing(clock, open_for)
    clock.now += alone_for - 0.01
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 0.02
    another = await also_probing(guarded, upstream, sent=3)
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    upstream.calls[2].set_result("answer")
    assert await another == "answer"
    upstream.calls[1].set_exception(failure())
    assert await probe is Reason.REFUSED
    closed = await also_probing(guarded, upstream, sent=4)
    upstream.calls[3].set_result("answer")
    assert await closed == "answer"


async def test_a_slow_probe_that_is_answered_closes_it_all_the_same(clock):
    upstream, guarded, probe = await opened_and_probing(clock, open_for=1.0)
    clock.now += 60
    another = await also_probing(guarded, upstream, sent=3)
    upstream.calls[1].set_result("answer")
    assert await probe == "answer"
    upstream.calls[2].set_exception(failure())
    assert await another is Reason.REFUSED
    closed = await also_probing(guarded, upstream, sent=4)
    upstream.calls[3].set_result("answer")
    assert await closed == "answer"


async def test_the_end_of_a_slow_probe_keeps_nobody_away(clock):
    upstream, guarded, probe = await opened_and_probing(clock, open_for=1.0)
    clock.now += 3
    upstream.calls[1].set_exception(failure())
    assert await probe is Reason.REFUSED
    another = await also_probing(guarded, upstream, sent=3)
    upstream.calls[2].set_result("answer")
    assert await another == "answer"


async def test_a_cancelled_probe_is_followed_by_another_pause(clock):
    upstream, guarded, probe = await opened_and_probing(clock, probe_ends_with_caller=True)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert upstream.calls[1].cancelled()
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 5
    another = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[2].set_result("answer")
    assert await another == "answer"


async def test_a_probe_whose_caller_goes_away_closes_it_all_the_same(clock):
    upstream, guarded, probe = await opened_and_probing(clock)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    upstream.calls[1].set_result("answer")
    await settle()
    another = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[2].set_result("another answer")
    assert await another == "another answer"


async def test_a_probe_whose_caller_goes_away_may_fail(clock):
    upstream, guarded, probe = await opened_and_probing(clock)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    upstream.calls[1].set_exception(failure())
    await settle()
    assert await outcome(guarded) is Reason.BREAKER_OPEN


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_a_probe_that_is_answered_closes_it(answer, clock):
    guarded = await opened(Script(failure(), answer, "answer"), clock)
    clock.now += 5
    await outcome(guarded)
    assert await outcome(guarded) == "answer"


@pytest.mark.parametrize("no_answer", [*TROUBLE, *OWN_WORDS, *NOTHING], ids=str)
async def test_a_probe_that_is_not_answered_does_not(no_answer, clock):
    guarded = await opened(Script(failure(), no_answer, "answer"), clock)
    clock.now += 5
    await outcome(guarded)
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 5
    assert await outcome(guarded) == "answer"


@pytest.mark.parametrize("late", [None, failure()], ids=["answer", "failure"])
async def test_what_was_under_way_when_it_opened_changes_nothing(late, clock):
    upstream = Held()
    guarded = breaker(upstream, clock, failures=1, open_for=5.0)
    first, second = [asyncio.create_task(outcome(guarded)) for _ in range(2)]
    await settle()
    upstream.calls[0].set_exception(failure())
    await first
    clock.now += 4
    upstream.calls[1].set_exception(late) if late else upstream.calls[1].set_result("answer")
    await second
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 1
    probe = asyncio.create_task(outcome(guarded))
    await settle()
    upstream.calls[2].set_result("answer")
    assert await probe == "answer"


async def test_a_probe_is_made_in_its_own_way(clock):
    guarded = breaker(Script(failure(), "sent"), clock, failures=1, probe=Script("probed"))
    await outcome(guarded)
    clock.now += 5
    assert [await outcome(guarded) for _ in range(2)] == ["probed", "sent"]


@pytest.mark.parametrize(("dice", "pause"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
async def test_the_pause_is_up_to_half_as_long_again(dice, pause, clock):
    guarded = breaker(Script(failure(), "answer"), clock, failures=1, open_for=4.0, dice=lambda: dice)
    await outcome(guarded)
    clock.now += pause - 0.1
    assert await outcome(guarded) is Reason.BREAKER_OPEN
    clock.now += 0.2
    assert await outcome(guarded) == "answer"


async def test_replicas_do_not_probe_together(clock):
    probed_at = set()
    for _ in range(50):
        upstream, began = Script(failure(), "answer"), clock.now
        guarded = Breaker("up", upstream, failures=1, open_for=1.0, clock=clock)
        while await outcome(guarded) != "answer":
            clock.now += 0.01
        probed_at.add(round(clock.now - began, 2))
    assert 1.0 <= min(probed_at) < max(probed_at) <= 1.52
    assert len(probed_at) > 10

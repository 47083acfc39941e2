"""Repeating a call: only what may be repeated, only what may pass, within the deadline and the budget."""

import asyncio

import pytest

from tests.upstreams.pipe.calls import Script, call, failure
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.retry import Retry, RetryBudget

PASSING = [
    failure(Reason.REFUSED),
    failure(Reason.RESET),
    failure(Reason.DNS),
    failure(Reason.STATUS, status=502),
    failure(Reason.STATUS, status=503),
    failure(Reason.STATUS, status=504),
]
LASTING = [
    failure(Reason.TIMEOUT),
    failure(Reason.TLS),
    failure(Reason.TOO_LARGE, status=200),
    failure(Reason.MALFORMED, status=200),
    failure(Reason.RATE_LIMITED, status=429, retry_after=0.0),
    failure(Reason.DISABLED),
    failure(Reason.STATUS, status=500),
    failure(Reason.STATUS, status=404),
]


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def budget(**options):
    return RetryBudget(clock=Clock(), **options)


async def outcome(upstream, retries=1, retry_budget=None, **options):
    try:
        return await Retry(upstream, retries=retries, budget=retry_budget or budget())(call(**options))
    except UpstreamFailure as failed:
        return failed


@pytest.mark.parametrize("passing", PASSING, ids=str)
async def test_a_passing_failure_is_tried_again(passing):
    assert await outcome(Script(passing, "answer")) == "answer"


@pytest.mark.parametrize("lasting", LASTING, ids=str)
async def test_any_other_failure_stands(lasting):
    upstream = Script(lasting, "answer")
    assert await outcome(upstream) is lasting
    assert len(upstream.called_at) == 1


async def test_what_is_not_idempotent_is_sent_once():
    refused = failure()
    upstream = Script(refused, "answer")
    assert await outcome(upstream, idempotent=False) is refused
    assert len(upstream.called_at) == 1


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_as_often_as_configured_and_then_the_last_failure(retries):
    failures = [failure() for _ in range(retries + 1)]
    upstream = Script(*failures, "never asked for")
    assert await outcome(upstream, retries=retries) is failures[-1]
    assert len(upstream.called_at) == retries + 1


async def test_a_lasting_failure_ends_the_retries():
    lasting = failure(Reason.MALFORMED, status=200)
    assert await outcome(Script(failure(), lasting, "answer"), retries=5) is lasting


async def test_no_retry_begins_after_the_deadline():
    first = failure(Reason.STATUS, status=503, retry_after=3.0)
    upstream = Script(first, "answer")
    before = asyncio.get_running_loop().time()
    assert await outcome(upstream, expires_in=2.9) is first
    assert asyncio.get_running_loop().time() == before


async def test_the_pause_the_upstream_asks_for_is_kept():
    upstream = Script(failure(Reason.STATUS, status=503, retry_after=3.0), "answer")
    assert await outcome(upstream, expires_in=10) == "answer"
    first, second = upstream.called_at
    assert 3.0 <= second - first <= 3.5


async def test_the_pause_is_short_without_being_asked_for():
    upstream = Script(failure(), "answer")
    await outcome(upstream)
    first, second = upstream.called_at
    assert 0 <= second - first <= 0.5


async def test_the_pauses_grow_but_are_random_from_nothing():
    gaps = [[] for _ in range(6)]
    for _ in range(40):
        upstream = Script(*[failure() for _ in range(6)], "answer")
        assert await outcome(upstream, retries=6) == "answer"
        for gap, began, again in zip(gaps, upstream.called_at[:-1], upstream.called_at[1:], strict=True):
            gap.append(again - began)
    for number, most in enumerate([0.05, 0.1, 0.2, 0.4, 0.5, 0.5]):
        assert max(gaps[number]) <= most + 1e-6
        assert min(gaps[number]) < most / 2 < max(gaps[number])


async def test_an_empty_budget_allows_no_retry():
    refused = failure()
    upstream = Script(refused, "answer")
    assert await outcome(upstream, retry_budget=budget(most=0.5)) is refused
    assert len(upstream.called_at) == 1


async def test_a_call_that_will_not_be_repeated_leaves_the_budget_alone():
    shared = budget(most=1.0, share=0.0)
    lasting = failure(Reason.MALFORMED, status=200)
    late = failure(Reason.STATUS, status=503, retry_after=100.0)
    await outcome(Script(lasting), retry_budget=shared)
    await outcome(Script(late), retry_budget=shared)
    await outcome(Script(failure()), retries=0, retry_budget=shared)
    await outcome(Script(failure()), idempotent=False, retry_budget=shared)
    assert await outcome(Script(failure(), "answer"), retry_budget=shared) == "answer"


async def test_every_call_earns_a_part_of_a_retry():
    shared = budget(most=1.0)
    shared.withdraw()
    for _ in range(11):
        assert await outcome(Script("answer"), retry_budget=shared) == "answer"
    assert await outcome(Script(failure(), "answer"), retry_budget=shared) == "answer"


def withdrawn(budget):
    count = 0
    while budget.withdraw():
        count += 1
    return count


def test_a_budget_begins_full():
    assert withdrawn(budget(most=4.0)) == 4


def test_a_tenth_of_the_calls_may_be_retried():
    spent = budget()
    withdrawn(spent)
    for _ in range(50):
        spent.deposit()
    assert withdrawn(spent) in (4, 5)  # tenths do not add up exactly


def test_three_retries_a_second_come_on_top():
    clock = Clock()
    spent = RetryBudget(clock=clock)
    withdrawn(spent)
    clock.now += 1.0
    assert withdrawn(spent) == 3
    clock.now += 0.25
    assert withdrawn(spent) == 0


class Dead:
    """A next layer that always fails, and counts how often."""

    calls = 0

    async def __call__(self, call):
        self.calls += 1
        raise failure()


@pytest.mark.parametrize(("per_second", "retries"), [(1000, 1), (1000, 5), (20, 5), (1, 5)])
async def test_an_outage_is_not_made_worse_by_retries(per_second, retries):
    loop, upstream, seconds = asyncio.get_running_loop(), Dead(), 3
    retry = Retry(upstream, retries=retries, budget=RetryBudget(clock=loop.time))
    began, asked = loop.time(), []
    for _ in range(per_second * seconds):
        asked.append(asyncio.create_task(retry(call())))
        await asyncio.sleep(1 / per_second)
    await asyncio.gather(*asked, return_exceptions=True)
    saved_up, took = 10, loop.time() - began
    assert upstream.calls - len(asked) <= saved_up + 0.1 * len(asked) + 3 * took


def test_a_quiet_time_saves_up_ten_at_most():
    clock = Clock()
    rested = RetryBudget(clock=clock)
    clock.now += 3600
    for _ in range(1000):
        rested.deposit()
    assert withdrawn(rested) == 10

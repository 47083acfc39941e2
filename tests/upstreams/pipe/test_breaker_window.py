"""Which share of an upstream's calls, of how many, in which time, opens the breaker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.upstreams.pipe.calls import call, failure
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Breaker
from upstreams.pipe.breaker import _Window

NOT_FOUND = failure(Reason.STATUS, status=404)
OWN_WORD = failure(Reason.STATUS, status=502, unsafe=True, in_json=True)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Told:
    """A next layer that does as it is told, whatever the call."""

    outcome = "answer"

    async def __call__(self, call):
        if isinstance(self.outcome, UpstreamFailure):
            raise self.outcome
        return self.outcome


class Guarded:
    """A breaker, and its upstream, of which the test decides."""

    def __init__(self, **options):
        self.clock, self._upstream = Clock(), Told()
        options = {"failures": 5, "ratio": 0.5, "volume": 20, "open_for": 1.0} | options
        self._breaker = Breaker("up", self._upstream, clock=self.clock, dice=lambda: 0.0, **options)

    async def see(self, *outcomes, every=0.0):
        for self._upstream.outcome in outcomes:
            try:
                await self._breaker(call())
            except UpstreamFailure as failed:
                if failed.reason is Reason.BREAKER_OPEN:
                    return
            self.clock.now += every

    async def is_open(self):
        self._upstream.outcome = "answer"
        try:
            await self._breaker(call())
        except UpstreamFailure:
            return True
        return False


def mixed(good, bad, answer="answer", trouble=None):
    """Return so many of both, the bad ones spread evenly and one of them last."""
    total = good + bad
    return [
        (trouble or failure()) if (place + 1) * bad // total > place * bad // total else answer
        for place in range(total)
    ]


@pytest.mark.parametrize(
    ("good", "bad", "opens"),
    [
        (10, 10, True),
        (100, 100, True),
        (5, 15, True),
        (11, 10, False),
        (55, 45, False),
        (10, 9, False),
        (9, 10, False),
    ],
)
@pytest.mark.parametrize("answer", ["answer", NOT_FOUND, OWN_WORD], ids=str)
async def test_half_of_twenty_calls(good, bad, opens, answer):
    guarded = Guarded(failures=10)  # so many in a row there are not
    await guarded.see(*mixed(good, bad, answer))
    assert await guarded.is_open() is opens


@pytest.mark.parametrize(
    ("options", "good", "bad", "opens"),
    [
        ({"ratio": 0.55}, 9, 11, True),
        ({"ratio": 0.55}, 10, 11, False),
        ({"ratio": 1.0, "failures": 30}, 0, 30, True),
        ({"ratio": 0.1, "volume": 100}, 90, 10, True),
        ({"ratio": 0.1, "volume": 100}, 80, 10, False),
        ({"ratio": 0.1, "volume": 1}, 6, 4, False),
        ({"ratio": 0.1, "volume": 1}, 6, 5, True),
        ({"failures": 11}, 10, 10, False),
        ({"failures": 1_000_000}, 100, 900, False),
    ],
)
async def test_as_configured_but_never_fewer_failures_than_in_a_row(options, good, bad, opens):
    guarded = Guarded(**options)
    await guarded.see(*mixed(good, bad))
    assert await guarded.is_open() is opens


async def test_a_quiet_upstream_that_is_dead_is_noticed_too():
    guarded = Guarded()
    await guarded.see(*[failure()] * 4, every=60)
    await guarded.see(failure())
    assert await guarded.is_open()


@pytest.mark.parametrize(("seconds", "opens"), [(8.9, True), (10.0, False), (25.0, False), (1e6, False)])
async def test_only_the_last_ten_seconds_count(seconds, opens):
    guarded = Guarded()
    await guarded.see(*mixed(9, 9))
    guarded.clock.now += seconds
    await guarded.see(*mixed(1, 1))
    assert await guarded.is_open() is opens


async def test_a_slow_trickle_of_failures_is_no_outage():
    guarded = Guarded()
    await guarded.see(*mixed(100, 100), every=1.0)
    assert not await guarded.is_open()


async def test_the_probe_that_closes_it_clears_the_window():
    guarded = Guarded()
    await guarded.see(*mixed(50, 50))
    assert await guarded.is_open()
    guarded.clock.now += 1.0
    await guarded.see("answer", *mixed(9, 9))
    assert not await guarded.is_open()


@pytest.mark.parametrize("reason", [Reason.MALFORMED, Reason.TOO_LARGE])
async def test_answers_that_cannot_be_read_are_answers(reason):
    guarded = Guarded()
    await guarded.see(*[failure(reason, status=200)] * 100)
    assert not await guarded.is_open()


@pytest.mark.parametrize(
    ("good", "bad", "opens"), [(0, 19, False), (0, 20, True), (10, 10, True), (11, 10, False)]
)
async def test_an_apis_own_word_for_a_read_counts_for_the_share(good, bad, opens):
    guarded = Guarded()
    await guarded.see(*mixed(good, bad, trouble=failure(Reason.STATUS, status=500, in_json=True)))
    assert await guarded.is_open() is opens


@given(st.lists(st.tuples(st.floats(0, 4, allow_nan=False), st.booleans()), max_size=80))
def test_the_window_counts_what_ended_in_its_ten_seconds(steps):
    window, now, seen = _Window(), 50.0, []
    for pause, failed in steps:
        now += pause
        window.count(now, failed=failed)
        seen.append((int(now), failed))
        within = [each for second, each in seen if second > int(now) - 10]
        assert (window.calls, window.failed) == (len(within), sum(within))

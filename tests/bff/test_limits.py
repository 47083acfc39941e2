"""So many requests in any span of so many seconds: who is counted, what is told, what memory it takes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.limits import Limit, RateLimits, address_key

CHAT = Limit("chat", requests=3, seconds=60)


@pytest.fixture
def limits(clock):
    return RateLimits()


async def allowed(limits, count, limit=CHAT, who="ada"):
    return [(await limits.take(limit, who)).allowed for _ in range(count)]


async def test_up_to_the_limit_and_no_further(limits):
    assert await allowed(limits, 5) == [True, True, True, False, False]


async def test_what_is_left_and_for_how_long(limits, clock):
    told = []
    for pause in (0, 10, 10, 10, 29.5, 0.5, 0):
        clock.advance(pause)
        verdict = await limits.take(CHAT, "ada")
        told.append((verdict.allowed, verdict.remaining, verdict.reset_seconds))
    assert told == [
        (True, 2, 60),
        (True, 1, 50),
        (True, 0, 40),
        (False, 0, 30),
        (False, 0, 1),
        (True, 0, 10),  # the first no longer counts
        (False, 0, 10),
    ]


async def test_a_refused_request_is_taken_when_it_was_told_so_and_no_second_before(limits, clock):
    for pause in (0.3, 7.1, 11.9):
        clock.advance(pause)
        await limits.take(CHAT, "ada")
    refused = await limits.take(CHAT, "ada")
    assert not refused.allowed
    clock.advance(refused.retry_after - 1)
    assert await allowed(limits, 1) == [False]
    clock.advance(1)
    assert await allowed(limits, 1) == [True]


async def test_asking_all_the_time_does_not_keep_one_out(limits, clock):
    taken = 0
    for _ in range(600):
        taken += (await limits.take(CHAT, "ada")).allowed
        clock.advance(1)
    assert taken == 30


async def test_users_and_limits_are_counted_apart(limits):
    other = Limit("provision", requests=1, seconds=60)
    await allowed(limits, 3)
    assert await allowed(limits, 1, who="bob") == [True]
    assert await allowed(limits, 2, limit=other) == [True, False]
    assert await allowed(limits, 1) == [False]


async def test_at_once_is_no_way_around(limits):
    verdicts = await asyncio.gather(*[limits.take(CHAT, "ada") for _ in range(10)])
    assert sum(verdict.allowed for verdict in verdicts) == 3


@given(st.lists(st.integers(0, 160), max_size=80))
async def test_no_span_holds_more_than_the_limit(quarters):
    times, now = [], 1000.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bff.limits.monotonic", lambda: now)
        limits = RateLimits()
        for pause in quarters:
            now += pause / 4
            verdict = await limits.take(CHAT, "ada")
            assert 0 <= verdict.remaining < CHAT.requests
            assert 1 <= verdict.reset_seconds <= CHAT.seconds
            if verdict.allowed:
                times.append(now)
    for first, fourth in zip(times, times[3:], strict=False):
        assert fourth - first >= CHAT.seconds


class TestMemory:
    def held(self, limits):
        return sum(len(taken) for taken in limits._taken.values())

    async def test_a_flood_of_addresses_is_bounded(self, clock):
        limits = RateLimits(max_who=100)
        for n in range(1000):
            await limits.take(CHAT, address_key(f"2001:db8:{n:x}::1"))
        assert self.held(limits) == 100

    async def test_it_lifts_no_other_limit(self, clock):
        limits, address = RateLimits(max_who=10), Limit("provision", requests=5, seconds=60)
        await allowed(limits, 3)
        for n in range(100):
            await limits.take(address, str(n))
        assert await allowed(limits, 1) == [False]

    async def test_who_still_asks_is_not_forgotten_for_who_came_once(self, clock):
        limits = RateLimits(max_who=10)
        await allowed(limits, 3)
        for n in range(100):
            await limits.take(CHAT, str(n))
            assert await allowed(limits, 1) == [False]

    async def test_what_no_longer_counts_is_let_go(self, limits, clock):
        for n in range(100):
            await limits.take(CHAT, str(n))
        clock.advance(60)
        await limits.take(CHAT, "ada")
        assert self.held(limits) == 1

    async def test_nothing_is_left_running(self, limits):
        await allowed(limits, 5)
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_the_client_is_told(limits, clock):
    await allowed(limits, 3)
    clock.advance(48)
    assert (await limits.take(CHAT, "ada")).headers() == [
        (b"ratelimit", b'"chat";r=0;t=12'),
        (b"ratelimit-policy", b'"chat";q=3;w=60'),
    ]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::2%eth1", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("testclient", "testclient"),
        ("192.0.2.007", "192.0.2.007"),
        ("192.0.2.7\0", "192.0.2.7\0"),
        ("x" * 1_000_000, "x" * 64),
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_who_is_counted_as_one(host, key):
    assert address_key(host) == key

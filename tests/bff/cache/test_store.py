"""Kept answers: bounded in bytes, gone after their last use."""

import pytest

from bff.cache.store import Entry, Store

OVERHEAD = 1024


def entry(clock, body=b"", fresh=0.0, stale=0.0, on_error=0.0):
    now = clock.now
    return Entry(body, None, None, "", now, now + fresh, now + stale, now + on_error)


@pytest.mark.parametrize("use", ["fresh", "stale", "on_error"])
def test_an_entry_is_kept_until_its_last_use(clock, use):
    store = Store(1_000_000)
    store.put("key", entry(clock, **{"fresh": 1, use: 10}))
    clock.advance(9.9)
    assert store.get("key") is not None
    clock.advance(0.2)
    assert store.get("key") is None
    assert store.bytes_held == 0


def test_an_entry_of_no_use_is_not_kept(clock):
    store = Store(1_000_000)
    store.put("key", entry(clock))
    assert store.get("key") is None


def test_what_was_not_put_is_not_there(clock):
    assert Store(1_000_000).get("key") is None


def test_bodies_and_their_overhead_count(clock):
    store = Store(1_000_000)
    store.put("a", entry(clock, b"1" * 100, fresh=10))
    store.put("b", entry(clock, b"1" * 200, fresh=10))
    assert store.bytes_held == 300 + 2 * OVERHEAD
    store.put("b", entry(clock, b"", fresh=10))
    assert store.bytes_held == 100 + 2 * OVERHEAD


def test_the_least_recently_used_goes_first(clock):
    store = Store(3 * (OVERHEAD + 100))
    for key in "abc":
        store.put(key, entry(clock, b"1" * 100, fresh=10))
    store.get("a")
    store.put("d", entry(clock, b"1" * 100, fresh=10))
    assert [key for key in "abcd" if store.get(key)] == ["a", "c", "d"]


def test_never_more_than_may_be_kept(clock):
    store = Store(10 * OVERHEAD)
    for number in range(100):
        store.put(number, entry(clock, b"1" * 37 * number, fresh=10))
        assert store.bytes_held <= 10 * OVERHEAD


def test_one_that_is_larger_than_everything_leaves_the_rest_alone(clock):
    store = Store(2 * OVERHEAD)
    store.put("small", entry(clock, fresh=10))
    store.put("large", entry(clock, b"1" * 2 * OVERHEAD, fresh=10))
    assert store.get("large") is None
    assert store.get("small") is not None


def test_a_store_without_room_keeps_nothing(clock):
    store = Store(0)
    store.put("key", entry(clock, fresh=10))
    assert store.get("key") is None

"""What Redis holds is taken for the answer that was asked for only if it says so itself, in every respect."""

import os
from dataclasses import dataclass, replace

import msgspec
import pytest

from bff.cache.keys import shared_keys
from bff.cache.store import Entry
from bff.cache.wire import RedisClock, Unreadable, Wire
from bff.plans import Keep, Scope
from bff.vault import Vault
from tests.bff.asking import ask, plan

PLAN = plan(keep=Keep(fresh=10, stale=20, on_error=60))
SECRET = replace(PLAN, secret=True)
GENERATION = b"0123456789abcdef"
KEY, OLD_KEY = os.urandom(32), os.urandom(32)
NOW_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Query:
    text: str


def keys_of(plan, *, user="u", query=None, prefix="bff"):
    asked = ask(query, user=user)
    return shared_keys(prefix, plan, asked.caller, asked.query)


@pytest.fixture
def redis_clock(clock):
    return RedisClock(NOW_MS, clock.now, clock.now)


def made(clock, *, fresh=10.0, stale=30.0, error=60.0, asked_ago=1.0):
    now = clock.now
    return Entry(
        body=b'{"someText":"made"}',
        etag=b'"etag"',
        degraded="gateway;reason=timeout",
        timing="total;dur=1.0",
        asked_at=now - asked_ago,
        fresh_until=now + fresh,
        stale_until=now + stale,
        error_until=now + error,
    )


def encoded(clock, redis_clock, *, plan=PLAN, vault=None, generation=GENERATION, **times):
    data, _ = Wire(vault).encode(plan, keys_of(plan), generation, made(clock, **times), redis_clock)
    return data


def test_what_was_written_is_read(clock, redis_clock):
    wire = Wire(None)
    data, lasts = wire.encode(PLAN, keys_of(PLAN), GENERATION, made(clock), redis_clock)
    assert lasts == 60_000
    assert wire.decode(PLAN, keys_of(PLAN), GENERATION, data, redis_clock) == made(clock)


def test_on_a_replica_with_another_clock_it_is_as_old(clock, redis_clock):
    data = encoded(clock, redis_clock)
    elsewhere = RedisClock(NOW_MS + 5_000, sent=50.0, received=50.0)  # five seconds later; its own clock says 50
    entry = Wire(None).decode(PLAN, keys_of(PLAN), GENERATION, data, elsewhere)
    assert (entry.asked_at, entry.fresh_until, entry.stale_until, entry.error_until) == (44.0, 55.0, 75.0, 105.0)


def test_the_time_a_command_takes_makes_copies_older_never_younger(clock):
    slow = RedisClock(NOW_MS, clock.now - 0.05, clock.now)
    entry = Wire(None).decode(PLAN, keys_of(PLAN), GENERATION, encoded(clock, slow), slow)
    assert made(clock).fresh_until - 0.06 < entry.fresh_until <= made(clock).fresh_until - 0.04


OTHERS = {
    "another user's": (PLAN, {"user": "u2"}, GENERATION),
    "a user's whose id begins the same": (PLAN, {"user": "u1"}, GENERATION),
    "another question's": (PLAN, {"query": Query("other")}, GENERATION),
    "another operation's": (replace(PLAN, name="test.other"), {}, GENERATION),
    "everyone's": (replace(PLAN, shared_by=Scope.EVERYONE), {}, GENERATION),
    "an earlier generation's": (PLAN, {}, b"fedcba9876543210"),
}


@pytest.mark.parametrize(("plan_asked", "asked", "generation"), OTHERS.values(), ids=OTHERS.keys())
def test_an_answer_that_was_not_asked_for_is_refused(clock, redis_clock, plan_asked, asked, generation):
    data = encoded(clock, redis_clock)
    with pytest.raises(Unreadable):
        Wire(None).decode(plan_asked, keys_of(plan_asked, **asked), generation, data, redis_clock)


def test_another_version_of_the_contract_is_refused(clock, redis_clock):
    other = replace(PLAN)
    object.__setattr__(other, "version", "another1")
    with pytest.raises(Unreadable):
        Wire(None).decode(other, keys_of(PLAN), GENERATION, encoded(clock, redis_clock), redis_clock)


TIMES = {
    "asked for in the future": {"asked_ago": -60.0, "fresh": 70.0, "stale": 90.0},
    "fresh for longer than its plan says": {"fresh": 14.0, "stale": 34.0},
    "stale for longer": {"stale": 36.0},
    "kept against errors for longer": {"error": 3600.0},
    "stale before it is fresh no more": {"stale": 5.0},
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES.keys())
def test_impossible_times_are_refused(clock, redis_clock, times):
    with pytest.raises(Unreadable):
        Wire(None).decode(PLAN, keys_of(PLAN), GENERATION, encoded(clock, redis_clock, **times), redis_clock)


def test_a_head_that_says_something_else_is_refused(clock, redis_clock):
    data = encoded(clock, redis_clock)
    longer = b"%013d" % (NOW_MS + 11_000)
    with pytest.raises(Unreadable):
        Wire(None).decode(PLAN, keys_of(PLAN), GENERATION, data[:13] + longer + data[26:], redis_clock)


def test_whatever_bytes_there_are_is_refused_or_the_answer(clock, redis_clock):
    data = encoded(clock, redis_clock)
    for length in range(len(data)):
        with pytest.raises(Unreadable):
            Wire(None).decode(PLAN, keys_of(PLAN), GENERATION, data[:length], redis_clock)


class TestSecrets:
    def test_are_sealed(self, clock, redis_clock):
        data = encoded(clock, redis_clock, plan=SECRET, vault=Vault([KEY]))
        assert b"someText" not in data
        opened = Wire(Vault([KEY])).decode(SECRET, keys_of(SECRET), GENERATION, data, redis_clock)
        assert opened == made(clock)

    def test_stay_in_the_process_without_a_key(self):
        assert not Wire(None).may_carry(SECRET)
        assert Wire(None).may_carry(PLAN)
        assert Wire(Vault([KEY])).may_carry(SECRET)

    def test_sealed_with_an_older_key_are_opened(self, clock, redis_clock):
        data = encoded(clock, redis_clock, plan=SECRET, vault=Vault([OLD_KEY]))
        rotated = Wire(Vault([KEY, OLD_KEY]))
        assert rotated.decode(SECRET, keys_of(SECRET), GENERATION, data, redis_clock) == made(clock)

    @pytest.mark.parametrize("keys", [[KEY], [os.urandom(32)]], ids=["the new one only", "a stranger's"])
    def test_sealed_with_a_key_that_is_gone_are_refused(self, clock, redis_clock, keys):
        data = encoded(clock, redis_clock, plan=SECRET, vault=Vault([OLD_KEY]))
        with pytest.raises(Unreadable):
            Wire(Vault(keys)).decode(SECRET, keys_of(SECRET), GENERATION, data, redis_clock)

    def test_copied_to_another_key_are_refused(self, clock, redis_clock):
        data = encoded(clock, redis_clock, plan=SECRET, vault=Vault([KEY]))
        with pytest.raises(Unreadable):
            Wire(Vault([KEY])).decode(SECRET, keys_of(SECRET, user="mallory"), GENERATION, data, redis_clock)

    def test_that_were_not_sealed_are_refused(self, clock, redis_clock):
        data = encoded(clock, redis_clock)
        forged = Wire(None).encode(PLAN, keys_of(SECRET), GENERATION, made(clock), redis_clock)[0]
        for plain in (data, forged):
            with pytest.raises(Unreadable):
                Wire(Vault([KEY])).decode(SECRET, keys_of(SECRET), GENERATION, plain, redis_clock)


class TestNames:
    def test_hold_no_id(self):
        keys = keys_of(PLAN, user="ada@example.com")
        assert "ada" not in keys.entry + keys.generations + keys.lease

    def test_of_one_owner_have_one_hash_tag(self):
        first, second = keys_of(PLAN), keys_of(replace(PLAN, name="test.other"))
        names = {*first[:3], *second[:3]}
        assert len({name[name.index("{") : name.index("}")] for name in names}) == 1
        assert first.generations == second.generations
        assert first.entry != second.entry

    def test_differ_by_owner_operation_question_and_prefix(self):
        names = [
            keys_of(PLAN),
            keys_of(PLAN, user="u2"),
            keys_of(PLAN, query=Query("1")),
            keys_of(replace(PLAN, name="test.other")),
            keys_of(replace(PLAN, shared_by=Scope.EVERYONE)),
            keys_of(PLAN, prefix="other"),
        ]
        assert len({each.entry for each in names}) == len(names)

    def test_say_everything_in_full(self):
        name, version, scope, owner, query = msgspec.json.decode(keys_of(PLAN, query=Query("1")).text)
        assert (name, version, scope, owner, query) == (PLAN.name, PLAN.version, "user", ["u"], {"text": "1"})

"""Which copy is served, when a new one is made, and for how many who ask at once."""

import asyncio

import pytest

from bff.cache.answers import Answers, State
from bff.cache.entries import degradation
from bff.cache.store import Store
from bff.plans import Keep, Refused, Scope, Shared, optional, required
from bff.plans.shared import Sources
from tests.bff.asking import Note, ask, failure, plan
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure

KEEP = Keep(fresh=10, stale=20, on_error=60)
DEADLINE = 2.0


class Upstream:
    """Says how often it was asked; fails with ``trouble`` when there is some, and never answers when ``hung``."""

    def __init__(self):
        self.asked = 0
        self.trouble = None
        self.hung = False
        self.takes = 0

    async def fetch(self, clients, ask):
        self.asked += 1
        said = self.asked
        await asyncio.sleep(3600 if self.hung else self.takes)
        if self.trouble:
            raise self.trouble
        return said


class Kitchen:
    """One plan on a required ``store`` and an optional ``gateway``, and the answers made of them."""

    def __init__(self, keep=KEEP, **fields):
        self.store, self.gateway = Upstream(), Upstream()
        main = required("store", self.store.fetch)
        side = optional("gateway", self.gateway.fetch, otherwise=0, stands_in="nothing")
        self.plan = plan(main, side, merge=lambda _, got: Note(some_text=str(got[main])), keep=keep, **fields)
        self.answers = Answers(Sources(None), Store(1_000_000))

    async def answer(self, *, user="u", bypass=False, within=DEADLINE):
        expires = asyncio.get_running_loop().time() + within
        return await self.answers.answer(self.plan, ask(user=user), expires=expires, bypass=bypass)

    async def ask(self, **options):
        """Return how the answer came about, and which one it is: the first one made, the second..."""
        answered = await self.answer(**options)
        return answered.state, int(answered.entry.body.removeprefix(b'{"someText":"').removesuffix(b'"}'))

    async def failure(self, **options):
        with pytest.raises(UpstreamFailure) as caught:
            await self.answer(**options)
        return caught.value


@pytest.fixture
def kitchen(clock):
    return Kitchen()


async def test_a_fresh_copy_is_served_as_it_is(kitchen, clock):
    assert await kitchen.ask() == (State.MISS, 1)
    clock.advance(9.9)
    assert await kitchen.ask() == (State.HIT, 1)
    assert kitchen.store.asked == 1


async def test_a_stale_copy_is_served_while_a_new_one_is_made(kitchen, clock):
    await kitchen.ask()
    clock.advance(10)
    assert await kitchen.ask() == (State.STALE, 1)
    await settle()
    assert await kitchen.ask() == (State.HIT, 2)
    clock.advance(9.9)
    assert await kitchen.ask() == (State.HIT, 2)


async def test_a_copy_that_is_too_old_is_not_served(kitchen, clock):
    await kitchen.ask()
    clock.advance(29.9)
    kitchen.store.hung = True
    assert (await kitchen.ask())[0] is State.STALE
    await settle()
    kitchen.store.hung = False
    await kitchen.answers.close()
    clock.advance(0.1)
    assert await kitchen.ask() == (State.MISS, 3)


async def test_many_who_are_served_a_stale_copy_cause_one_refresh(kitchen, clock):
    await kitchen.ask()
    clock.advance(15)
    assert await asyncio.gather(*(kitchen.ask() for _ in range(20))) == [(State.STALE, 1)] * 20
    await settle()
    assert kitchen.store.asked == 2


async def test_a_refresh_that_failed_is_tried_again_after_a_second(kitchen, clock):
    await kitchen.ask()
    kitchen.store.trouble = failure("store")
    clock.advance(15)
    for _ in range(3):
        assert await kitchen.ask() == (State.STALE, 1)
        await settle()
    assert kitchen.store.asked == 2
    clock.advance(1)
    assert await kitchen.ask() == (State.STALE, 1)
    await settle()
    assert kitchen.store.asked == 3


async def test_an_old_copy_stands_in_while_a_required_source_fails(kitchen, clock):
    await kitchen.ask()
    kitchen.store.trouble = failure("store")
    clock.advance(59.9)
    answered = await kitchen.answer()
    assert (answered.state, str(answered.failure)) == (State.STALE_ON_ERROR, "store: refused")
    clock.advance(0.1)
    assert str(await kitchen.failure()) == "store: refused"


async def test_a_failure_is_not_kept(kitchen):
    kitchen.store.trouble = failure("store")
    assert str(await kitchen.failure()) == "store: refused"
    kitchen.store.trouble = None
    assert await kitchen.ask() == (State.MISS, 2)


async def test_without_a_time_on_error_no_old_copy_stands_in(clock):
    kitchen = Kitchen(Keep(fresh=10, stale=20, on_error=0))
    await kitchen.ask()
    kitchen.store.trouble = failure("store")
    clock.advance(29.9)
    assert (await kitchen.ask())[0] is State.STALE
    await settle()
    clock.advance(0.1)
    assert str(await kitchen.failure()) == "store: refused"


@pytest.mark.parametrize(("fresh", "seconds"), [(10, 2), (1, 1)])
async def test_a_degraded_answer_is_kept_two_seconds_at_most(clock, fresh, seconds):
    kitchen = Kitchen(Keep(fresh=fresh, stale=20, on_error=60))
    kitchen.gateway.trouble = failure("gateway", Reason.TIMEOUT)
    answered = await kitchen.answer()
    assert answered.entry.degraded == "gateway;reason=timeout"
    clock.advance(seconds - 0.1)
    assert await kitchen.ask() == (State.HIT, 1)
    clock.advance(0.1)
    assert await kitchen.ask() == (State.MISS, 2)


async def test_a_degraded_answer_still_stands_in_when_nothing_else_does(kitchen, clock):
    kitchen.gateway.trouble = failure("gateway", Reason.TIMEOUT)
    await kitchen.ask()
    kitchen.store.trouble = failure("store")
    clock.advance(59.9)
    assert (await kitchen.ask())[0] is State.STALE_ON_ERROR


async def test_a_complete_answer_is_not_degraded(kitchen):
    assert (await kitchen.answer()).entry.degraded is None


async def test_who_asks_anew_gets_it_anew_and_so_do_the_next(kitchen):
    await kitchen.ask()
    assert await kitchen.ask(bypass=True) == (State.BYPASS, 2)
    assert await kitchen.ask() == (State.HIT, 2)


async def test_who_asks_anew_is_not_told_what_a_shared_source_said_before(clock):
    gateway = Upstream()
    side = optional("gateway", gateway.fetch, otherwise=0, stands_in="none", shared=Shared(60, lambda *_: ""))
    note = plan(side, merge=lambda _, got: Note(some_text=str(got[side])), keep=KEEP)
    answers = Answers(Sources(None), Store(1_000_000))
    expires = asyncio.get_running_loop().time() + DEADLINE
    for bypass in (False, True, True):
        await answers.answer(note, ask(), expires=expires, bypass=bypass)
    assert gateway.asked == 3


async def test_who_asks_anew_at_once_gets_it_together(kitchen):
    assert await asyncio.gather(*(kitchen.ask(bypass=True) for _ in range(20))) == [(State.BYPASS, 1)] * 20
    assert kitchen.store.asked == 1


async def test_a_slow_fan_out_does_not_replace_one_that_was_asked_for_later(kitchen, clock):
    kitchen.store.takes = 1
    slow = asyncio.create_task(kitchen.ask())
    await settle()
    clock.advance(0.1)
    kitchen.store.takes = 0
    assert await kitchen.ask(bypass=True) == (State.BYPASS, 2)
    assert await slow == (State.MISS, 1)
    assert await kitchen.ask() == (State.HIT, 2)


async def test_who_asks_anew_in_vain_gets_the_copy(kitchen):
    await kitchen.ask()
    kitchen.store.trouble = failure("store")
    answered = await kitchen.answer(bypass=True)
    assert (answered.state, str(answered.failure)) == (State.STALE_ON_ERROR, "store: refused")


async def test_a_thousand_equal_questions_cost_one_fan_out(kitchen):
    states = [state for state, _ in await asyncio.gather(*(kitchen.ask() for _ in range(1000)))]
    assert states == [State.MISS] + [State.COLLAPSED] * 999
    assert (kitchen.store.asked, kitchen.gateway.asked) == (1, 1)


async def test_who_leads_may_leave(kitchen):
    leader = asyncio.create_task(kitchen.ask())
    follower = asyncio.create_task(kitchen.ask())
    await asyncio.sleep(0)
    leader.cancel()
    assert await follower == (State.COLLAPSED, 1)
    assert kitchen.store.asked == 1


async def test_users_do_not_share(kitchen):
    assert await kitchen.ask(user="ada") == (State.MISS, 1)
    assert await kitchen.ask(user="bob") == (State.MISS, 2)
    assert await kitchen.ask(user="ada") == (State.HIT, 1)


async def test_everyone_shares_what_is_everyones(clock):
    kitchen = Kitchen(shared_by=Scope.EVERYONE)
    assert await kitchen.ask(user="ada") == (State.MISS, 1)
    assert await kitchen.ask(user="bob") == (State.HIT, 1)


async def test_a_refusal_is_told_and_not_kept(clock):
    def merge(_ask, _got):
        raise Refused(404, "User not found")

    kitchen = Kitchen()
    kitchen.plan = plan(*kitchen.plan.sources, merge=merge)
    for _ in range(2):
        with pytest.raises(Refused):
            await kitchen.answer()
    assert kitchen.store.asked == 2


async def elapsed(asked):
    loop = asyncio.get_running_loop()
    before = loop.time()
    return await asked, loop.time() - before


async def test_a_required_source_that_hangs_costs_the_deadline(kitchen):
    kitchen.store.hung = True
    failed, took = await elapsed(kitchen.failure())
    assert (failed.upstream, failed.reason) == ("store", Reason.TIMEOUT)
    assert took == pytest.approx(DEADLINE)


async def test_an_optional_one_that_hangs_is_left_out_at_the_deadline(kitchen):
    kitchen.gateway.hung = True
    answered, took = await elapsed(kitchen.answer())
    assert (answered.state, answered.entry.degraded) == (State.MISS, "gateway;reason=timeout")
    assert took == pytest.approx(DEADLINE)


async def test_who_joins_late_waits_no_longer_than_the_own_deadline(kitchen):
    kitchen.store.hung = True
    leader = asyncio.create_task(kitchen.failure(within=2.0))
    await settle()
    failed, took = await elapsed(kitchen.failure(within=0.5))
    assert (failed.upstream, failed.reason) == ("store", Reason.TIMEOUT)
    assert 0.5 <= took < 0.55
    await leader


async def test_equal_bytes_have_equal_etags_and_secrets_have_none(clock):
    first, second = Kitchen(), Kitchen()
    etag = (await first.answer()).entry.etag
    assert etag == (await second.answer()).entry.etag
    assert etag != (await second.answer(bypass=True)).entry.etag
    assert etag.startswith(b'"')
    assert etag.endswith(b'"')
    assert (await Kitchen(secret=True).answer()).entry.etag is None


async def test_what_each_upstream_took(kitchen):
    kitchen.gateway.trouble = failure("gateway", Reason.RESET)
    timing = (await kitchen.answer()).entry.timing
    assert timing == 'store;dur=0.0, gateway;dur=0.0;desc="reset", total;dur=0.0'


def test_degradation_is_a_list():
    both = degradation(failure("gateway", Reason.TIMEOUT), failure("metrics", Reason.STATUS, status=500))
    assert both == "gateway;reason=timeout, metrics;reason=status"

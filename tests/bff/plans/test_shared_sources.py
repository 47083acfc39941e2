"""A source whose answer many share: asked once, told to all, for as long as it says."""

import asyncio

import pytest

from bff.plans import Shared, optional, required
from bff.plans.shared import Sources
from tests.bff.asking import ask, failure
from tests.virtual_time import settle
from upstreams.failure import UpstreamFailure


class Gateway:
    """Answers how often it was asked, after a while, or with its ``trouble``."""

    def __init__(self):
        self.asked = 0
        self.trouble = None

    async def fetch(self, clients, ask):
        self.asked += 1
        said = self.asked
        await asyncio.sleep(0.1)
        if self.trouble:
            raise self.trouble
        return said


@pytest.fixture
def gateway(clock):
    return Gateway()


def shared(gateway, fresh=5.0, by=lambda clients, ask: ask.caller.user_id[0]):
    return optional("gateway", gateway.fetch, otherwise=0, stands_in="none", shared=Shared(fresh, by))


async def outcome(sources, source, *, user="ada", since=0.0, anew=False):
    try:
        return await sources.fetch(source, ask(user=user), since=since, anew=anew)
    except UpstreamFailure as failed:
        return failed


async def test_one_ask_for_all_at_once(gateway):
    sources, source = Sources(None), shared(gateway)
    asked = [outcome(sources, source, user=user) for user in ("ada", "alan", "abel", "ada")]
    assert await asyncio.gather(*asked) == [1, 1, 1, 1]


async def test_who_does_not_share_is_told_apart(gateway):
    sources, source = Sources(None), shared(gateway)
    assert await asyncio.gather(outcome(sources, source), outcome(sources, source, user="bob")) == [1, 2]


async def test_kept_as_long_as_the_source_says(gateway, clock):
    sources, source = Sources(None), shared(gateway, fresh=5)
    assert await outcome(sources, source) == 1
    clock.advance(4.9)
    assert await outcome(sources, source, user="alan") == 1
    clock.advance(0.1)
    assert await outcome(sources, source) == 2


@pytest.mark.parametrize(("fresh", "seconds"), [(15, 2), (1, 1)])
async def test_a_failure_is_remembered_two_seconds_at_most(gateway, clock, fresh, seconds):
    sources, source = Sources(None), shared(gateway, fresh=fresh)
    down = gateway.trouble = failure("gateway")
    assert await outcome(sources, source) is down
    gateway.trouble = None
    clock.advance(seconds - 0.1)
    assert await outcome(sources, source, user="alan") is down
    clock.advance(0.1)
    assert await outcome(sources, source) == 2


async def test_all_who_wait_see_the_failure(gateway):
    sources, source = Sources(None), shared(gateway)
    gateway.trouble = failure("gateway")
    outcomes = await asyncio.gather(*(outcome(sources, source) for _ in range(3)))
    assert outcomes == [gateway.trouble] * 3
    assert gateway.asked == 1


async def test_anew_is_not_what_was_said_before_but_is_told_to_the_next(gateway):
    sources, source = Sources(None), shared(gateway)
    await outcome(sources, source)
    assert await outcome(sources, source, anew=True) == 2
    assert await outcome(sources, source) == 2


async def test_many_anew_at_once_are_one(gateway):
    sources, source = Sources(None), shared(gateway)
    assert await asyncio.gather(*(outcome(sources, source, anew=True) for _ in range(5))) == [1] * 5


async def test_who_leads_may_leave(gateway):
    sources, source = Sources(None), shared(gateway)
    leader = asyncio.create_task(outcome(sources, source))
    follower = asyncio.create_task(outcome(sources, source))
    await settle()
    leader.cancel()
    assert await follower == 1


async def test_what_is_not_shared_is_asked_each_time(gateway):
    sources, source = Sources(None), required("store", gateway.fetch)
    assert [await outcome(sources, source) for _ in range(3)] == [1, 2, 3]


async def test_who_cannot_say_what_is_shared_asks_nothing(gateway):
    def unknown(clients, ask):
        raise failure("gateway")

    assert isinstance(await outcome(Sources(None), shared(gateway, by=unknown)), UpstreamFailure)
    assert gateway.asked == 0


async def test_a_bug_is_not_remembered(gateway):
    sources, source = Sources(None), shared(gateway)
    gateway.trouble = KeyError("oh")
    with pytest.raises(KeyError):
        await sources.fetch(source, ask(), since=0.0, anew=False)
    gateway.trouble = None
    assert await outcome(sources, source) == 2


async def test_closing_ends_what_is_in_flight(gateway):
    sources, source = Sources(None), shared(gateway)
    task = asyncio.create_task(outcome(sources, source))
    await settle()
    await sources.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_asked_before_a_change_does_not_count(gateway, clock):
    sources, source = Sources(None), shared(gateway)
    assert await outcome(sources, source) == 1
    clock.advance(1)
    changed = clock.now
    assert await outcome(sources, source, user="alan") == 1
    assert await outcome(sources, source, since=changed) == 2
    assert await outcome(sources, source, user="alan") == 2


async def test_nor_what_was_being_asked_then(gateway, clock):
    sources, source = Sources(None), shared(gateway)
    first = asyncio.ensure_future(outcome(sources, source))
    await settle()
    clock.advance(1)
    assert await outcome(sources, source, since=clock.now) == 2
    assert await first == 1


async def test_who_comes_when_an_ask_has_just_ended_may_want_a_later_one(clock):
    asked = []

    async def fetch(clients, ask):
        asked.append(clock.now)
        return len(asked)

    source = optional(
        "gateway", fetch, otherwise=0, stands_in="none", shared=Shared(5.0, lambda clients, ask: "all")
    )
    sources = Sources(None)
    first = asyncio.create_task(outcome(sources, source))
    await asyncio.sleep(0)  # the ask is about to be made, and to end in the same turn of the loop
    clock.advance(1)
    second = asyncio.create_task(outcome(sources, source, since=clock.now))
    clock.advance(-1)
    asyncio.get_running_loop().call_soon(clock.advance, 1)
    async with asyncio.timeout(1):
        assert await asyncio.gather(first, second) == [1, 2]

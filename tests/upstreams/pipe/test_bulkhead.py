"""How many calls an upstream holds at once, and who waits for a place."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.upstreams.pipe.calls import Held, call
from tests.virtual_time import VirtualTimeLoop, settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Bulkhead


async def start(bulkhead, count, **options):
    tasks = [asyncio.create_task(bulkhead(call(**options))) for _ in range(count)]
    await settle()
    return tasks


async def reason_of(task):
    with pytest.raises(UpstreamFailure) as caught:
        await task
    return caught.value.reason


async def finish(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_as_many_calls_as_places_at_once():
    upstream = Held()
    tasks = await start(Bulkhead("up", upstream, places=2, queue=5), 4)
    assert len(upstream.calls) == 2
    upstream.calls[0].set_result("answer")
    assert await tasks[0] == "answer"
    await settle()
    assert len(upstream.calls) == 3
    await finish(*tasks)


async def test_waiters_are_served_in_the_order_they_came():
    upstream = Held()
    tasks = await start(Bulkhead("up", upstream, places=1, queue=5), 3)
    for number, task in enumerate(tasks):
        upstream.calls[number].set_result(number)
        assert await task == number
        await settle()


async def test_who_finds_the_queue_full_fails_at_once():
    upstream = Held()
    bulkhead = Bulkhead("up", upstream, places=1, queue=1)
    tasks = await start(bulkhead, 2)
    before = asyncio.get_running_loop().time()
    assert await reason_of(bulkhead(call())) is Reason.SATURATED
    assert asyncio.get_running_loop().time() == before
    await finish(*tasks)


async def test_who_still_waits_at_the_deadline_fails_then():
    bulkhead = Bulkhead("up", Held(), places=1, queue=1)
    tasks = await start(bulkhead, 1)
    before = asyncio.get_running_loop().time()
    assert await reason_of(bulkhead(call(expires_in=1.5))) is Reason.SATURATED
    assert asyncio.get_running_loop().time() == pytest.approx(before + 1.5)
    await finish(*tasks)


@pytest.mark.parametrize("gone", ["cancelled", "too late"])
async def test_a_waiter_that_left_frees_its_place_in_the_queue(gone):
    upstream = Held()
    bulkhead = Bulkhead("up", upstream, places=1, queue=1)
    [first] = await start(bulkhead, 1)
    [waiter] = await start(bulkhead, 1, expires_in=1)
    if gone == "cancelled":
        waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    [next_waiter] = await start(bulkhead, 1)
    upstream.calls[0].set_result("first")
    await settle()
    upstream.calls[1].set_result("second")
    assert await asyncio.gather(first, next_waiter) == ["first", "second"]


@pytest.mark.parametrize("end", ["answer", "failure", "cancelled"])
async def test_a_call_gives_its_place_back_however_it_ends(end):
    upstream = Held()
    bulkhead = Bulkhead("up", upstream, places=1, queue=0)
    [task] = await start(bulkhead, 1)
    if end == "answer":
        upstream.calls[0].set_result(None)
    elif end == "failure":
        upstream.calls[0].set_exception(UpstreamFailure("up", Reason.RESET))
    else:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    [another] = await start(bulkhead, 1)
    assert len(upstream.calls) == 2
    await finish(another)


async def test_a_waiter_cancelled_just_as_it_gets_the_place_does_not_keep_it():
    upstream = Held()
    bulkhead = Bulkhead("up", upstream, places=1, queue=1)
    first, waiter = await start(bulkhead, 2)
    upstream.calls[0].set_result(None)
    await first
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    [another] = await start(bulkhead, 1)
    assert not upstream.calls[-1].done()
    await finish(another)


class Traffic:
    """Calls to an upstream of three places that begin, end, are given up and come too late, in any order."""

    def __init__(self):
        self.served, self.inside = [], []
        self._asked = {}
        self._bulkhead = Bulkhead("up", self._serve, places=3, queue=4)

    async def _serve(self, called):
        ended = asyncio.get_running_loop().create_future()
        self.served.append(called.expires)
        self.inside.append(ended)
        assert len(self.inside) <= 3
        try:
            await ended
        finally:
            self.inside.remove(ended)

    def ask(self, number):
        asked = call(expires_in=5 + len(self._asked) / 1000)  # by which each call is known
        self._asked[asked.expires] = asyncio.create_task(self._bulkhead(asked))

    def finish(self, number):
        if self.inside and not (ended := self.inside[number % len(self.inside)]).done():
            ended.set_result(None)

    def cancel(self, number):
        if self._asked:
            list(self._asked.values())[-1 - number % len(self._asked)].cancel()

    async def settle(self, number):
        await settle()
        waiting = [expires for expires, task in self._asked.items() if not task.done()]
        assert len(waiting) <= 7
        assert len(self.inside) == min(len(waiting), 3), "a place is lost"

    async def pass_time(self, number):
        await asyncio.sleep(number / 4)

    async def end(self):
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)


WHATEVER_HAPPENS = st.lists(
    st.tuples(
        st.sampled_from(
            [Traffic.ask, Traffic.ask, Traffic.finish, Traffic.cancel, Traffic.settle, Traffic.pass_time]
        ),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(WHATEVER_HAPPENS)
def test_no_place_is_lost_and_nobody_is_overtaken_whatever_happens(steps):
    async def play():
        traffic = Traffic()
        for step, number in steps:
            if (going_on := step(traffic, number)) is not None:
                await going_on
        await traffic.settle(0)
        assert traffic.served == sorted(traffic.served), "somebody was overtaken"
        await traffic.end()
        for _ in range(3):
            traffic.ask(0)
        await settle()
        assert len(traffic.inside) == 3
        await traffic.end()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play())

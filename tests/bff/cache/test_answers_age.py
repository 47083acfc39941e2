"""Whatever happens in whatever order, no copy is served beyond its time."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bff.cache.answers import Answers, State
from bff.cache.store import Store
from bff.plans import Keep, optional, required
from bff.plans.shared import Sources
from tests.bff.asking import Note, ask, failure, plan
from tests.virtual_time import VirtualTimeLoop, settle
from upstreams.failure import UpstreamFailure

KEEP = Keep(fresh=10, stale=20, on_error=60)

steps = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.5, 1.0, 1.9, 2.0, 5.0, 9.9, 10.0, 20.0, 29.0, 61.0])),
    st.tuples(st.just("store"), st.booleans()),
    st.tuples(st.just("gateway"), st.booleans()),
    st.tuples(st.just("ask"), st.booleans()),
)


class World:
    def __init__(self, clock):
        self._clock = clock
        self.up = {"store": True, "gateway": True}
        main = required("store", self._fetch("store"))
        side = optional("gateway", self._fetch("gateway"), otherwise=None, stands_in="nothing")
        self.plan = plan(main, side, merge=lambda _, got: Note(some_text=str(got[main])), keep=KEEP)
        self.answers = Answers(Sources(None), Store(1_000_000))

    def _fetch(self, name):
        async def fetch(clients, ask):
            if not self.up[name]:
                raise failure(name)
            return self._clock.now

        return fetch

    async def ask(self, bypass):
        expires = asyncio.get_running_loop().time() + 2
        try:
            answered = await self.answers.answer(self.plan, ask(), expires=expires, bypass=bypass)
        except UpstreamFailure:
            assert not self.up["store"]
            return
        finally:
            await settle()
        made_at = float(answered.entry.body.removeprefix(b'{"someText":"').removesuffix(b'"}'))
        self.check(answered, age=self._clock.now - made_at, bypass=bypass)

    def check(self, answered, *, age, bypass):
        degraded = answered.entry.degraded is not None
        match answered.state:
            case State.HIT:
                assert age < (2 if degraded else KEEP.fresh)
                assert not bypass
            case State.STALE:
                assert KEEP.fresh <= age < KEEP.fresh + KEEP.stale
                assert not degraded
                assert not bypass
            case State.STALE_ON_ERROR:
                assert age < KEEP.on_error
                assert not self.up["store"]
                assert answered.failure is not None
            case _:
                assert age == 0
                assert degraded is not self.up["gateway"]


async def play(clock, story):
    world = World(clock)
    for step, value in story:
        if step == "pass":
            clock.advance(value)
        elif step == "ask":
            await world.ask(value)
        else:
            world.up[step] = value
    await world.answers.close()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(story=st.lists(steps, max_size=30))
def test_nothing_is_served_beyond_its_time(clock, story):
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(play(clock, story))

"""The adaptive limit: turns of the event loop one by one, and what comes of it under whole loads."""

import asyncio
import random
import statistics

import pytest

from bff import overload
from bff.overload import CALM_SECONDS, CEILING, FLOOR, YOUNG_SECONDS, AdaptiveLimit

ON_TIME, LATE, VERY_LATE = 0.009, 0.021, 0.2
A_WINDOW_OF_LATE_TURNS = [LATE] * 6


class Loop:
    """A limit on the event loop, and what its turns take."""

    def __init__(self, clock):
        self._clock = clock
        self.limit = AdaptiveLimit(clock.monotonic)

    def enter(self, number):
        return [self.limit.enter() for _ in range(number)]

    def leave(self, places):
        for place in places:
            self.limit.leave(place)

    async def turn(self, *seconds):
        """Let the loop turn, with so many seconds of work in each turn."""
        for each in seconds:
            self._clock.advance(each)
            await asyncio.sleep(0)


@pytest.fixture
def loop(clock):
    return Loop(clock)


async def test_to_begin_with_there_is_room_for_all_that_there_may_be(loop):
    assert None not in loop.enter(CEILING)
    assert loop.limit.enter() is None
    assert loop.limit.in_flight == CEILING


async def test_who_leaves_makes_room(loop):
    places = loop.enter(CEILING)
    loop.leave(places[:1])
    assert loop.limit.enter() is not None
    assert loop.limit.enter() is None


@pytest.mark.parametrize(
    ("turns", "limit"),
    [
        pytest.param([ON_TIME] * 30, CEILING, id="on time"),
        pytest.param([VERY_LATE], CEILING, id="one large answer"),
        pytest.param([VERY_LATE, ON_TIME] * 5, CEILING, id="one after the other"),
        pytest.param([LATE] * 5, CEILING, id="a short burst"),
        pytest.param([LATE] * 5 + [ON_TIME] + [LATE] * 5, CEILING, id="with a breath between"),
        pytest.param([LATE] * 6, 50, id="late for a whole window"),
        pytest.param([VERY_LATE] * 2, 50, id="half of it at most"),
        pytest.param([0.0101] * 11, 90, id="nine tenths at least"),
        pytest.param([0.013] * 9, 76, id="in proportion"),
    ],
)
async def test_late_turns_leave_room_for_a_part_of_what_is_in_flight(loop, turns, limit):
    loop.enter(100)
    await loop.turn(*turns)
    assert loop.limit.limit == limit


async def test_however_late_some_room_is_left(loop):
    loop.enter(1)
    await loop.turn(*[VERY_LATE] * 10)
    assert loop.limit.limit == FLOOR


async def test_each_window_that_is_late_takes_its_part(loop):
    places = loop.enter(200)
    await loop.turn(*A_WINDOW_OF_LATE_TURNS)
    loop.leave(places[:100])
    await loop.turn(*A_WINDOW_OF_LATE_TURNS)
    assert loop.limit.limit == 50


async def test_there_is_one_more_place_for_each_turn_that_is_on_time_while_some_are_refused(loop):
    places = loop.enter(100)
    await loop.turn(*A_WINDOW_OF_LATE_TURNS)
    assert loop.limit.enter() is None
    await loop.turn(ON_TIME)
    assert loop.limit.limit == 51
    for limit in range(52, 60):
        assert loop.limit.enter() is None
        await loop.turn(ON_TIME)
        assert loop.limit.limit == limit
    loop.leave(places[58:])
    assert loop.limit.enter() is not None
    assert loop.limit.enter() is None


async def test_when_nobody_has_been_refused_for_a_while_there_is_all_the_room_again(loop, clock):
    loop.enter(100)
    await loop.turn(*A_WINDOW_OF_LATE_TURNS)
    assert loop.limit.enter() is None
    await loop.turn(ON_TIME)
    assert loop.limit.limit == 51
    clock.advance(max(CALM_SECONDS, YOUNG_SECONDS * 2) + 0.1)
    assert loop.limit.enter() is not None
    await loop.turn(ON_TIME)
    assert loop.limit.limit == CEILING


async def test_a_reserved_place_is_nobody_elses_until_the_loop_has_turned(loop):
    loop.enter(CEILING - 2)
    assert [loop.limit.reserve() for _ in range(3)] == [True, True, False]
    assert loop.limit.in_flight == CEILING - 2
    await loop.turn(ON_TIME)
    assert [loop.limit.reserve() for _ in range(3)] == [True, True, False]
    assert None not in loop.enter(2)
    assert not loop.limit.reserve()


@pytest.mark.parametrize(
    ("seconds", "counted"),
    [(0, True), (YOUNG_SECONDS * 0.99, True), (YOUNG_SECONDS * 2, False), (YOUNG_SECONDS * 100, False)],
)
async def test_who_has_been_there_for_long_waits_for_somebody_and_does_not_count(loop, clock, seconds, counted):
    loop.limit.leave(loop.limit.enter())
    places = loop.enter(10)
    clock.advance(seconds)
    assert loop.limit.in_flight == (10 if counted else 0)
    more = loop.enter(5)
    assert loop.limit.in_flight == (15 if counted else 5)
    loop.leave(places)
    assert loop.limit.in_flight == 5
    loop.leave(more)
    assert loop.limit.in_flight == 0


async def test_nothing_is_left_to_do_when_nothing_comes(loop):
    loop.limit.leave(loop.limit.enter())
    running = asyncio.get_running_loop()
    await loop.turn(VERY_LATE, LATE)
    assert running._ready
    await loop.turn(ON_TIME)
    assert not running._ready
    assert not running._scheduled


WORK = (0.0003, 0.0005, 0.0002)  # between the calls of a request
READING = 0.00002
REFUSING = 0.00003
CAPACITY = 1 / (sum(WORK) + READING)
DEADLINE = 2.0


class Simulation:
    """A gateway on a loop of virtual time, where not only waiting takes time but work too."""

    def __init__(self, monkeypatch):
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(overload, "monotonic", self._loop.time)
        self.limit = AdaptiveLimit(self._loop.time)
        self._chance = random.Random(1)
        self._tasks = set()
        self.begin()

    def begin(self):
        """Forget what has been so far."""
        self.served, self.refused = [], []

    def wait_for_somebody(self, number):
        """Have so many others there, who do no work."""
        for _ in range(number):
            self._start(self._serve(0, upstream=3600))

    async def offer(self, capacities, seconds, *, upstream=0.005):
        """Have requests come at random at so many times the capacity."""
        began = at = self._loop.time()
        while at < began + seconds:
            at += self._chance.expovariate(CAPACITY * capacities)
            self._loop.call_at(at, self._arrive, at, upstream)
        await asyncio.sleep(began + seconds - self._loop.time())

    def end(self):
        for task in self._tasks:
            task.cancel()

    def _arrive(self, at, upstream):
        self._work(READING)
        if self.limit.reserve():
            self._start(self._serve(at, upstream))
        else:
            self._work(REFUSING)
            self.refused.append(self._loop.time() - at)

    def _start(self, work):
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, at, upstream):
        place = self.limit.enter()
        for each in WORK:
            self._work(each)
            await asyncio.sleep(upstream * self._chance.uniform(0.5, 1.5))
        if place is not None:
            self.limit.leave(place)
        if self._loop.time() - at < DEADLINE:
            self.served.append(self._loop.time() - at)

    def _work(self, seconds):
        self._loop._now += seconds


@pytest.fixture
async def gateway(monkeypatch):
    gateway = Simulation(monkeypatch)
    yield gateway
    gateway.end()


@pytest.mark.parametrize(
    ("capacities", "upstream"),
    [
        pytest.param(0.8, 0.005, id="almost busy"),
        pytest.param(0.3, 1.0, id="upstreams take a second"),
    ],
)
async def test_a_load_that_can_be_carried_is_carried(gateway, capacities, upstream):
    await gateway.offer(capacities, 3, upstream=upstream)
    assert gateway.refused == []


@pytest.mark.parametrize("waiting", [0, 500])
@pytest.mark.parametrize("capacities", [1.2, 3])
@pytest.mark.parametrize("upstream", [0.005, 0.05])
async def test_of_one_that_cannot_as_much_is_as_can_be(gateway, capacities, upstream, waiting):
    gateway.wait_for_somebody(waiting)
    await gateway.offer(capacities, 3 * YOUNG_SECONDS, upstream=upstream)
    gateway.begin()
    await gateway.offer(capacities, 2, upstream=upstream)
    assert len(gateway.served) > 0.85 * 2 * CAPACITY
    assert statistics.median(gateway.refused) < 0.02
    assert max(gateway.served) < 0.5


async def test_without_a_limit_nobody_would_be_served_in_time(gateway, monkeypatch):
    monkeypatch.setattr(overload, "FLOOR", 1_000_000)
    monkeypatch.setattr(overload, "CEILING", 1_000_000)
    gateway.limit = AdaptiveLimit()
    await gateway.offer(3, 4)
    gateway.begin()
    await gateway.offer(3, 1)
    assert len(gateway.served) < 0.1 * CAPACITY


async def test_when_it_is_over_it_is_over(gateway):
    await gateway.offer(3, 2)
    assert gateway.refused
    await gateway.offer(0.5, CALM_SECONDS + 0.5)
    gateway.begin()
    await gateway.offer(0.8, 2)
    assert gateway.refused == []

"""A repeat with the same key gets the first answer: what is one request, who waits, what is kept and how long."""

import asyncio
import gc

import pytest

from bff.claims import KeyReused
from bff.idempotency import Idempotency, valid_key
from bff.metrics import Metrics
from bff.redis import Redis
from bff.sharing import Sharing
from tests.virtual_time import settle

SCOPE = ("agents.provision", "ada")


class World:
    """Requests with keys. Each piece of work answers its number when the test lets it."""

    def __init__(self, **options):
        self.repeats = Idempotency(**options)
        self.going = asyncio.Event()
        self.going.set()
        self.started = 0
        self.trouble = None

    async def ask(self, key="k", scope=SCOPE, body=b"body", keep=lambda _: True):
        return await self.repeats.run(scope, key, body, self._work, keep=keep, into=int)

    async def asking(self, count=1, **given):
        """Return so many requests that wait for work that does not end."""
        self.going.clear()
        tasks = [asyncio.create_task(self.ask(**given)) for _ in range(count)]
        await settle()
        return tasks

    async def _work(self):
        self.started += 1
        number = self.started
        await self.going.wait()
        if self.trouble:
            raise self.trouble
        return number


async def test_a_repeat_gets_the_first_answer():
    world = World()
    assert [await world.ask() for _ in range(3)] == [(1, False), (1, True), (1, True)]
    assert world.started == 1


@pytest.mark.parametrize(
    "other",
    [
        {"key": "K"},
        {"key": "k "},
        {"scope": ("agents.provision", "bob")},
        {"scope": ("agents.other", "ada")},
        {"scope": ("agents.provision", "adak"), "key": ""},
        {"scope": ("agents.provisiona", "da")},
        {"scope": ("agents.provision",), "key": "adak"},
    ],
    ids=str,
)
async def test_another_key_or_scope_is_another_request(other):
    world = World()
    await world.ask()
    assert await world.ask(**other) == (2, False)


class TestAnotherBody:
    async def test_after_the_first(self):
        world = World()
        await world.ask()
        with pytest.raises(KeyReused):
            await world.ask(body=b"other")
        assert await world.ask() == (1, True)

    async def test_while_the_first_is_under_way(self):
        world = World()
        [first] = await world.asking()
        with pytest.raises(KeyReused):
            await world.ask(body=b"other")
        world.going.set()
        assert await first == (1, False)

    async def test_after_a_first_that_was_not_kept(self):
        world = World()
        await world.ask(keep=lambda _: False)
        assert await world.ask(body=b"other") == (2, False)

    async def test_in_the_very_moment_in_which_the_first_is_let_go(self):
        world = World()
        [first] = await world.asking(keep=lambda _: False)
        others = []
        world.going.set()
        while not first.done():
            others.append(asyncio.create_task(world.ask(body=b"other")))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(answer, KeyReused) or answer[0] > 1 for answer in answers)


async def test_requests_at_once_are_one_piece_of_work():
    world = World()
    tasks = await world.asking(5)
    world.going.set()
    assert await asyncio.gather(*tasks) == [(1, False), *[(1, True)] * 4]


@pytest.mark.parametrize("leaving", [[0], [1], [0, 1], [0, 1, 2]], ids=str)
async def test_whoever_leaves_the_work_goes_on(leaving):
    world = World()
    tasks = await world.asking(3)
    for n in leaving:
        tasks[n].cancel()
    await settle()
    world.going.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [n for n, each in enumerate(outcomes) if isinstance(each, asyncio.CancelledError)] == leaving
    assert await world.ask() == (1, True)


async def test_an_answer_that_is_not_to_be_kept_reaches_who_waits_and_nobody_else():
    world = World()
    tasks = await world.asking(2, keep=lambda number: number > 1)
    world.going.set()
    assert await asyncio.gather(*tasks) == [(1, False), (1, True)]
    assert [await world.ask() for _ in range(2)] == [(2, False), (2, True)]


async def test_so_does_what_goes_wrong():
    world = World()
    world.trouble = ValueError("no")
    tasks = await world.asking(2)
    world.going.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [world.trouble] * 2
    world.trouble = None
    assert await world.ask() == (2, False)


async def test_what_goes_wrong_when_nobody_waits_is_no_complaint():
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    world = World()
    world.trouble = ValueError("no")
    tasks = await world.asking(2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    world.going.set()
    await settle()
    del tasks
    gc.collect()
    assert complaints == []


async def test_a_key_lives_a_day(clock):
    world = World()
    await world.ask()
    clock.advance(86399)
    assert await world.ask() == (1, True)
    clock.advance(1)
    assert await world.ask() == (2, False)


async def test_memory_is_bounded():
    world = World(max_entries=10)
    for n in range(100):
        await world.ask(str(n))
    assert [len(mine) for mine in world.repeats._kept.values()] == [10]
    assert await world.ask("99") == (100, True)
    assert await world.ask("0") == (101, False)
    assert world.repeats._asked == {}


class TestWithoutTheRedisThatThereShouldBe:
    @pytest.fixture
    async def world(self):
        world = World(sharing=Sharing("idempotency", Redis("redis://127.0.0.1:1", Metrics()), "bff", Metrics()))
        yield world
        await world.repeats.close()

    async def test_memory_decides(self, world):
        assert [await world.ask() for _ in range(3)] == [(1, False), (1, True), (1, True)]
        with pytest.raises(KeyReused):
            await world.ask(body=b"other")

    async def test_two_bodies_at_once_are_not_both_worked_for(self, world):
        first, *others = await world.asking(), *[asyncio.create_task(world.ask(body=b"%d" % n)) for n in range(3)]
        outcomes = await asyncio.gather(*others, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [KeyReused] * 3
        world.going.set()
        assert await first[0] == (1, False)

    async def test_redis_is_told_for_as_long_as_others_would_wait_and_then_no_more(self, world):
        await world.ask()
        behind = world.repeats._claims._behind
        assert len(behind) == 1
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*behind)
        assert asyncio.get_running_loop().time() - started < 65


async def test_keys_and_users_are_not_kept_as_they_came():
    world = World()
    await world.ask("hunter2")
    assert all(
        b"hunter2" not in name and b"ada" not in name for mine in world.repeats._kept.values() for name in mine
    )


async def test_closing_cancels_what_is_under_way():
    world = World()
    tasks = await world.asking(2)
    await world.repeats.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (b"8e03978e-40d5-43dd-bc93-6894a57f9324", True),
        (b'"quoted"', True),
        (b" ", True),
        (b"~", True),
        (b"k" * 255, True),
        (b"", False),
        (b"k" * 256, False),
        (b"a\nb", False),
        (b"key\n", False),
        (b"a\0", False),
        (b"a\x7f", False),
        (b"\xc3\xa9", False),
    ],
)
def test_what_can_be_a_key(text, valid):
    assert valid_key(text) is valid

"""Equal questions asked at once are answered by one piece of work, whoever of those who asked stays."""

import asyncio
import gc

import pytest

from bff.cache.single_flight import SingleFlight
from tests.virtual_time import settle


class Work:
    """Pieces of work, each of which ends when the test says so."""

    def __init__(self):
        self.ends = []

    async def __call__(self):
        end = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        return await end


async def wait(flights, key, work):
    flight, _ = flights.join(key, work)
    return await asyncio.shield(flight)


async def waiting(flights, work, count=3, key="key"):
    tasks = [asyncio.create_task(wait(flights, key, work)) for _ in range(count)]
    await settle()
    return tasks


async def test_all_who_wait_get_the_one_answer():
    flights, work = SingleFlight(), Work()
    tasks = await waiting(flights, work)
    [end] = work.ends
    end.set_result("answer")
    assert await asyncio.gather(*tasks) == ["answer"] * 3


async def test_the_first_knows_that_it_leads():
    flights, work = SingleFlight(), Work()
    first, leads = flights.join("key", work)
    second, follows = flights.join("key", work)
    assert (first is second, leads, follows) == (True, True, False)
    await flights.close()


async def test_other_keys_are_other_work():
    flights, work = SingleFlight(), Work()
    tasks = await waiting(flights, work, 1, "a") + await waiting(flights, work, 1, "b")
    for end, answer in zip(work.ends, "ab", strict=True):
        end.set_result(answer)
    assert await asyncio.gather(*tasks) == ["a", "b"]


async def test_what_has_landed_is_asked_anew():
    flights, work = SingleFlight(), Work()
    for answer in ("first", "second"):
        [task] = await waiting(flights, work, 1)
        work.ends[-1].set_result(answer)
        assert await task == answer


@pytest.mark.parametrize("who", [0, 1, 2])
async def test_whoever_leaves_the_others_stay(who):
    flights, work = SingleFlight(), Work()
    tasks = await waiting(flights, work)
    tasks[who].cancel()
    await settle()
    work.ends[0].set_result("answer")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [n == who for n in range(3)]
    assert len(work.ends) == 1


async def test_a_failure_is_seen_by_all_who_wait_and_by_nobody_after():
    flights, work = SingleFlight(), Work()
    tasks = await waiting(flights, work)
    error = ValueError("no")
    work.ends[0].set_exception(error)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 3
    [task] = await waiting(flights, work, 1)
    work.ends[1].set_result("answer")
    assert await task == "answer"


@pytest.mark.parametrize("waiters", [0, 3])
async def test_work_that_nobody_waits_for_is_finished_in_silence(waiters):
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    flights, work = SingleFlight(), Work()
    flights.join("key", work)
    tasks = await waiting(flights, work, waiters)
    await settle()
    for task in tasks:
        task.cancel()
    await settle()
    work.ends[0].set_exception(ValueError("no"))
    await settle()
    del tasks
    gc.collect()
    assert complaints == []


async def test_closing_cancels_what_is_in_flight():
    flights, work = SingleFlight(), Work()
    tasks = await waiting(flights, work)
    await flights.close()
    assert work.ends[0].cancelled()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_that_has_just_ended_is_not_waited_for():
    flights, asked = SingleFlight(), []

    async def work():
        asked.append(len(asked) + 1)
        return asked[-1]

    async def late():  # runs when the first has ended, before anything that follows from that
        assert first.done()
        return await wait(flights, "key", work)

    first, _ = flights.join("key", work)
    assert await asyncio.create_task(late()) == 2
    assert await first == 1
    await settle()
    assert flights._flights == {}

"""Promise 2 with Redis: no command that was cut short or came too late ever hands its reply to another."""

import asyncio
import random
from collections import Counter

import pytest
import uvloop

from bff.cache.answers import Answers, Shared, State
from bff.cache.invalidation import Invalidations
from bff.cache.second_tier import SecondTier
from bff.cache.store import Store
from bff.metrics import Metrics
from bff.plans import Ask, Got, Keep, Plan, required
from bff.plans.shared import Sources
from bff.redis import Redis
from tests.bff.asking import Note, ask, plan
from tests.faults.proxy import Proxy, proxy
from tests.faults.rig import until
from tests.redis_servers import RedisServer

USERS = 500
ROUNDS = 5
REQUESTS = 40  # of each user in a round: 200 in all
AT_ONCE = 48  # many more than there are connections
CUT_SHORT = 0.2
PREFIX = "bff"
TOO_LATE = 0.2  # seconds, of which a command has less


async def _whose(_: object, ask: Ask[object]) -> str:
    await asyncio.sleep(0)
    return ask.caller.user_id


WHOSE = required("store", _whose)


def _marked(_: Ask[object], got: Got) -> Note:
    return Note(some_text=f"<{got[WHOSE]}>")


MARKED: Plan[object] = plan(WHOSE, merge=_marked, keep=Keep(fresh=60, stale=0, on_error=60))


class Crowd:
    """Users who ask one after the other, and go away in the middle of some requests."""

    def __init__(self, answers: Answers, redis: Redis) -> None:
        self._answers = answers
        self._redis = redis
        self._chance = random.Random(2023_28859)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.came: Counter[State | None] = Counter()

    async def round(self) -> None:
        await asyncio.gather(*(self._user(f"user-{number}") for number in range(USERS)))

    async def _user(self, name: str) -> None:
        for _ in range(REQUESTS):
            async with self._turns:
                if not self._redis.is_up:
                    await until(lambda: self._redis.is_up)
                goes_away = self._chance.random() < CUT_SHORT
                self.came[await self._cut_short(name) if goes_away else await self.request(name)] += 1

    async def _cut_short(self, name: str) -> State | None:
        request = asyncio.create_task(self.request(name))
        await asyncio.sleep(self._chance.random() * 0.003)
        request.cancel()
        await asyncio.wait({request})
        return None if request.cancelled() else request.result()

    async def request(self, user: str) -> State:
        expires = asyncio.get_running_loop().time() + MARKED.deadline
        answered = await self._answers.answer(MARKED, ask(user=user), expires=expires)
        assert answered.entry.body == b'{"someText":"<%b>"}' % user.encode()
        return answered.state


@pytest.mark.usefixtures("redis_url")
def test_2_no_user_gets_anothers_bytes_from_redis(redis_server: RedisServer) -> None:
    uvloop.run(_ask_through_what_delays(redis_server.port))


async def _ask_through_what_delays(port: int) -> None:
    async with proxy(port) as delaying:
        await _crowd_asks(delaying)


async def _crowd_asks(delaying: Proxy) -> None:
    redis, metrics = Redis(f"redis://127.0.0.1:{delaying.port}/0", Metrics()), Metrics()
    answers = Answers(Sources(None), Store(0))  # so that every request asks Redis
    tier = SecondTier(redis, PREFIX, None, metrics, 60)
    answers.share(Shared(tier, Invalidations(redis, PREFIX, answers, metrics, 60)))
    await redis.open()
    crowd = Crowd(answers, redis)
    for number in range(ROUNDS):
        await delaying.misbehave("jitter", seconds=0.002)
        await crowd.round()

        # Replies that come when nobody waits for them any more.
        await delaying.misbehave("latency", seconds=TOO_LATE)
        late = await asyncio.gather(*(crowd.request(f"late-{number}-{user}") for user in range(AT_ONCE)))
        assert set(late) == {State.MISS}
        assert not redis.is_up
        await delaying.misbehave(None)

    assert crowd.came.total() == USERS * ROUNDS * REQUESTS
    assert crowd.came[None] > 0.1 * crowd.came.total()
    assert crowd.came[State.HIT] > 0.7 * crowd.came.total()
    assert metrics.second_tier.labels("refused")._value.get() == 0
    await answers.close()
    await redis.close()

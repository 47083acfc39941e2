"""Nobody is ever given the reply to what another one has asked, whoever goes away in the middle of it."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from bff.redis import Redis
from tests.bff.redis.asking import ECHO, Open, answers, outcome
from tests.bff.redis.pretending import Pretender
from tests.faults.proxy import Fault, Proxy
from tests.faults.rig import until

SEED = 2650  # of redis-py's report of replies that came to the next caller
CALLERS = 1000
LONGEST_CALL = 0.3

TROUBLE = {"timeout", "connection", "down"}


def arguments(dice: random.Random, count: int) -> Iterator[bytes]:
    """Give each a text of its own, of a line or of more than is read at once."""
    for number in range(count):
        yield b"%d " % number * dice.choice([1, 1, 1, 1, 1, 1, 1, 1, 1, 1000])


async def ask_and_go_away(redis: Redis, dice: random.Random, arg: bytes) -> object:
    """Return the outcome, None when the caller lost patience before there was one."""
    asking = asyncio.create_task(outcome(redis, ECHO, arg=arg))
    if dice.random() < 0.5:
        asyncio.get_running_loop().call_later(dice.uniform(0, LONGEST_CALL), asking.cancel)
    try:
        return await asking
    except asyncio.CancelledError:
        return None


def assert_own(sent: list[bytes], got: list[object]) -> None:
    """Assert that those who got a reply got their own, and that some did."""
    assert {arg: reply for arg, reply in zip(sent, got, strict=True) if reply not in {arg, None, *TROUBLE}} == {}
    assert any(isinstance(reply, bytes) for reply in got)


FAULTS: dict[Fault, float] = {"latency": 0.01, "jitter": 0.02, "slices": 0}


@pytest.mark.parametrize("fault", FAULTS)
async def test_of_a_thousand_who_come_and_go(fault: Fault, between: Proxy, opened: Open, patient: None) -> None:
    dice = random.Random(SEED)
    redis = await opened(f"redis://127.0.0.1:{between.port}")
    assert await answers(redis)
    await between.misbehave(fault, seconds=FAULTS[fault], size=500)
    sent = list(arguments(dice, CALLERS))
    got = await asyncio.gather(*(ask_and_go_away(redis, dice, arg) for arg in sent))
    assert_own(sent, got)


@pytest.mark.parametrize("fault", ["hang", "latency", "truncation"])
async def test_of_those_who_come_after_replies_that_came_too_late(
    fault: Fault, between: Proxy, opened: Open, soon: None
) -> None:
    redis = await opened(f"redis://127.0.0.1:{between.port}")
    await between.misbehave(fault, seconds=0.15, after=6)
    late = await asyncio.gather(*(outcome(redis, arg=b"late %d" % number) for number in range(100)))
    assert set(late) <= TROUBLE
    await between.misbehave(None)
    await until(lambda: redis.is_up)
    later = [b"later %d" % number for number in range(100)]
    assert_own(later, await asyncio.gather(*(outcome(redis, arg=arg) for arg in later)))


async def test_of_a_server_that_says_more_than_it_was_asked(opened: Open) -> None:
    async with Pretender(b"+the reply\r\n+another one's reply\r\n").listening() as pretender:
        redis = await opened(pretender.url)
        assert {await outcome(redis) for _ in range(20)} <= {b"the reply", *TROUBLE}

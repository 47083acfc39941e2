"""Asking all sources at once: what ends it, what does not, and how long it takes."""

import asyncio

import pytest
from structlog.testing import capture_logs

from bff.plans import optional, required
from bff.plans.fan_out import FanOut
from tests.bff.asking import ask, failure, plan
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure

NEVER = 3600


class Sources:
    """Named sources with what each says or fails with, and after how many seconds."""

    def __init__(self, **outcomes):
        self._outcomes = outcomes
        self.cancelled = []

    async def fetch(self, source, ask):
        outcome, seconds = self._outcomes[source.upstream]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(source.upstream)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def never_asked(clients, ask):
    raise AssertionError("a fan-out asks through the given fetch")


STORE = required("store", never_asked)
BILLING = required("billing", never_asked)
GATEWAY = optional("gateway", never_asked, otherwise="stand-in", stands_in="something")


def fan_out(*sources, **outcomes):
    asked = Sources(**outcomes)
    return FanOut(plan(*sources), ask(), asked.fetch), asked


async def gather(fan, within=2.0):
    """Return what was gathered, or the failure, and the seconds it took."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    try:
        outcome = await fan.gather(before + within)
    except UpstreamFailure as failed:
        outcome = failed
    await settle()
    return outcome, round(loop.time() - before, 3)


async def test_all_at_once_and_as_long_as_the_slowest():
    fan, _ = fan_out(STORE, BILLING, GATEWAY, store=("s", 0.3), billing=("b", 0.5), gateway=("g", 0.4))
    got, took = await gather(fan)
    assert (got[STORE], got[BILLING], got[GATEWAY], got.failures) == ("s", "b", "g", ())
    assert took == 0.5


async def test_none_is_an_answer():
    fan, _ = fan_out(STORE, store=(None, 0))
    got, _ = await gather(fan)
    assert got[STORE] is None
    assert got.failure(STORE) is None


async def test_the_first_failing_required_source_ends_it():
    down = failure("store")
    fan, asked = fan_out(STORE, BILLING, GATEWAY, store=(down, 0.1), billing=("b", 1), gateway=("g", NEVER))
    failed, took = await gather(fan)
    assert (str(failed), took) == ("store: refused", 0.1)
    assert sorted(asked.cancelled) == ["billing", "gateway"]


async def test_an_optional_one_never_does():
    down = failure("gateway")
    fan, _ = fan_out(STORE, GATEWAY, store=("s", 0.5), gateway=(down, 0.1))
    got, took = await gather(fan)
    assert (got[STORE], got[GATEWAY], took) == ("s", "stand-in", 0.5)
    assert [str(each) for each in got.failures] == ["gateway: refused"]
    assert got.failures == (got.failure(GATEWAY),)


async def test_an_optional_one_is_not_waited_for_beyond_the_deadline():
    fan, asked = fan_out(STORE, GATEWAY, store=("s", 0.5), gateway=("g", NEVER))
    got, took = await gather(fan)
    assert (got[STORE], got[GATEWAY], took) == ("s", "stand-in", 2.0)
    assert got.failure(GATEWAY).reason is Reason.TIMEOUT
    assert asked.cancelled == ["gateway"]


async def test_a_required_one_that_is_too_slow_is_a_timeout():
    fan, asked = fan_out(STORE, GATEWAY, store=("s", NEVER), gateway=("g", 0.1))
    failed, took = await gather(fan)
    assert (failed.upstream, failed.reason, took) == ("store", Reason.TIMEOUT, 2.0)
    assert asked.cancelled == ["store"]


@pytest.mark.parametrize("source", [STORE, GATEWAY], ids=["required", "optional"])
async def test_a_bug_in_a_source_is_its_failure_and_logged(source):
    bug = KeyError("what was I thinking")
    fan, _ = fan_out(BILLING, source, **{"billing": ("b", 0), source.upstream: (bug, 0)})
    with capture_logs() as lines:
        outcome, _ = await gather(fan)
    failed = outcome if source.required else outcome.failure(source)
    assert str(failed) == f"{source.upstream}: malformed"
    assert [(line["event"], line["exc_info"]) for line in lines] == [("source failed unexpectedly", True)]


async def test_two_failures_at_once_are_one():
    fan, _ = fan_out(STORE, BILLING, store=(failure("store"), 0), billing=(failure("billing"), 0))
    assert str((await gather(fan))[0]) == "store: refused"


async def test_a_failure_is_named_after_its_source():
    elsewhere = failure("user_store", Reason.STATUS, status=503)
    fan, _ = fan_out(STORE, GATEWAY, store=("s", 0), gateway=(elsewhere, 0))
    got, _ = await gather(fan)
    assert str(got.failure(GATEWAY)) == "gateway: status 503"
    assert [upstream for upstream, _, _ in fan.timings] == ["store", "gateway"]


async def test_whoever_goes_away_takes_the_sources_along():
    fan, asked = fan_out(STORE, GATEWAY, store=("s", NEVER), gateway=("g", NEVER))
    task = asyncio.create_task(fan.gather(asyncio.get_running_loop().time() + 2))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
    assert sorted(asked.cancelled) == ["gateway", "store"]


async def test_what_each_took_in_the_order_they_ended(clock):
    async def fetch(source, ask):
        await asyncio.sleep(0.1 if source is GATEWAY else 0.2)
        clock.advance(0.25)
        if source is GATEWAY:
            raise failure("gateway", Reason.RESET)

    fan = FanOut(plan(STORE, GATEWAY), ask(), fetch)
    await gather(fan)
    assert fan.timings == [("gateway", 250.0, Reason.RESET), ("store", 500.0, None)]


async def test_what_timed_out_is_told_too():
    fan, _ = fan_out(STORE, GATEWAY, store=("s", 0), gateway=("g", NEVER))
    await gather(fan)
    assert [(upstream, reason) for upstream, _, reason in fan.timings] == [
        ("store", None),
        ("gateway", Reason.TIMEOUT),
    ]

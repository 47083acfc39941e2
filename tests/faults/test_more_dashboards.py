"""Every fault of what an organization's statistics and codex-lb's dashboard need: documented, in time; it heals.

Whoever was answered before is told that again, and what it is for want of; to others the documented error is told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from demo import codex
from demo.people import ADA, ADMIN
from tests.faults.elsewhere import (
    BY_METADATA,
    EVERYBODYS,
    MODELS,
    OVERVIEW,
    OWN,
    STATS,
    UPSTREAMS,
    Elsewhere,
    elsewhere,
    facing,
)
from tests.faults.rig import Answer, until
from tests.faults.table import ALL, SLACK, echoes

STATS_FAILED = (500, {"error": "Internal Server Error"})
UNAVAILABLE = (503, {"error": "Service unavailable"})
CODEX_DOWN = (502, {"error": {"code": "upstream_error", "message": "codex-lb is unavailable"}})
LOGGED_OUT = (401, {"error": {"code": "authentication_required", "message": "Authentication is required"}})

LOGGED_IN = f"dashboard_session={codex.SESSION}"

# An answer without lists, or without numbers, cannot be wrong in that way.
METRICS_HARMLESS = {"nulls"}
KEYS_HARMLESS = {"nan"}
MODELS_HARMLESS = {"nan"}

every_fault = pytest.mark.parametrize("fault", ALL)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@every_fault
async def test_fault(upstream: str, fault: str, members_asked_for_each_time: None) -> None:
    async with elsewhere(policy=facing(fault)) as the:
        await CHECKS[upstream](the, fault, partial(misbehave, the, upstream))


@every_fault
async def test_keys(fault: str, keys_asked_for_again_soon: None) -> None:
    async with elsewhere(policy=facing(fault)) as the:
        await check_keys(the, fault, partial(misbehave, the, "clerk"))


async def misbehave(the: Elsewhere, upstream: str, fault: str | None) -> None:
    await the.misbehave(upstream, None if fault is None else ALL[fault][0])


async def test_members_are_known_for_a_minute() -> None:
    async with elsewhere() as the:
        assert (await the.ask_as(ADMIN)).is_complete
        await the.misbehave("clerk", ALL["refuse"][0])
        assert (await the.ask_as(ADMIN, f"{BY_METADATA}&metadataValue=sales")).is_complete


# Has an upstream have a fault from now on, None: none.
Misbehave = Callable[[str | None], Awaitable[None]]


async def check_metrics(the: Elsewhere, fault: str, misbehave: Misbehave) -> None:
    reason = "too_large" if fault == "gzip_bomb" else ALL[fault][1]  # so little is read that it is that first
    complete = await the.ask_as(ADMIN)
    await misbehave(fault)
    kept, nothing_kept = await asyncio.gather(the.ask_as(ADMIN), the.ask_as(ADA, OWN))

    if fault in METRICS_HARMLESS:
        assert kept.is_complete
        assert nothing_kept.is_complete
    else:
        assert_kept(kept, complete, f"metrics;reason={reason}", STATS.deadline)
        assert_failed(nothing_kept, STATS_FAILED, STATS.deadline)
    await misbehave(None)
    await until_complete(lambda: the.ask_as(ADA, OWN))


async def check_members(the: Elsewhere, fault: str, misbehave: Misbehave) -> None:
    complete = await the.ask_as(ADMIN)
    await misbehave(fault)
    kept, nothing_kept = await asyncio.gather(the.ask_as(ADMIN), the.ask_as(ADA, f"{OWN}&metadataKey=department"))

    assert_kept(kept, complete, f"clerk;reason={ALL[fault][1]}", STATS.deadline)
    assert_failed(nothing_kept, STATS_FAILED, STATS.deadline)
    assert (await the.ask_as(ADMIN, EVERYBODYS)).is_complete  # who the members are does not matter to all
    await misbehave(None)
    await until_complete(lambda: the.ask_as(ADMIN))


async def check_keys(the: Elsewhere, fault: str, misbehave: Misbehave) -> None:
    await misbehave(fault)
    answer = await the.ask_as(ADA, OWN)

    if fault in KEYS_HARMLESS:
        assert answer.is_complete
    else:
        assert_failed(answer, UNAVAILABLE, STATS.deadline)
        assert answer.headers["retry-after"]
    await misbehave(None)
    await until_complete(lambda: the.ask_as(ADA, OWN))


async def check_codex(the: Elsewhere, fault: str, misbehave: Misbehave) -> None:
    complete = await the.ask_codex()
    await misbehave(fault)
    kept, nothing_kept = await asyncio.gather(the.ask_codex(), the.ask_codex(f'"{codex.SESSION}"'))

    for plan, before, again, stranger in zip((OVERVIEW, MODELS), complete, kept, nothing_kept, strict=True):
        if plan is MODELS and fault in MODELS_HARMLESS:
            assert again.is_complete
            assert stranger.is_complete
        elif fault == "401":
            assert_failed(again, LOGGED_OUT, plan.deadline)
            assert_failed(stranger, LOGGED_OUT, plan.deadline)
        else:
            assert_kept(again, before, f"codex;reason={ALL[fault][1]}", plan.deadline)
            assert_failed(stranger, CODEX_DOWN, plan.deadline)
    await misbehave(None)
    await until_complete(lambda: the.ask(OVERVIEW.path, Cookie=LOGGED_IN))
    await until_complete(lambda: the.ask(MODELS.path, Cookie=LOGGED_IN))


CHECKS = {"metrics": check_metrics, "clerk": check_members, "codex": check_codex}


def assert_kept(answer: Answer, complete: Answer, missing: str, deadline: float) -> None:
    assert complete.is_complete
    assert (answer.status, answer.body) == (200, complete.body)
    assert answer.headers["bff-degraded"] == missing
    assert answer.seconds < deadline + SLACK


def assert_failed(answer: Answer, documented: tuple[int, object], deadline: float) -> None:
    assert (answer.status, answer.body) == documented
    assert documented == STATS_FAILED or not echoes(answer.content)
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.seconds < deadline + SLACK


async def until_complete(ask: Callable[[], Awaitable[Answer]]) -> None:
    async def is_complete() -> bool:
        return (await ask()).is_complete

    await until(is_complete)

"""Every fault of what an organization's statistics and codex-lb's dashboard need: documented, in time; it heals.

Whoever was answered before is told that again, and what it is for want of; to others the documented error is told.
"""

from collections.abc import Awaitable, Callable

import pytest

from bff import memberships
from demo import codex
from demo.people import ADA, ADMIN
from tests.faults.elsewhere import BY_METADATA, EVERYBODYS, MODELS, OVERVIEW, OWN, STATS, Elsewhere, elsewhere
from tests.faults.rig import Answer, until
from tests.faults.table import ALL, SLACK, echoes
from upstreams import clerk

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


@every_fault
async def test_metrics(fault: str) -> None:
    faults, usual = ALL[fault]
    reason = "too_large" if fault == "gzip_bomb" else usual  # so little is read that it is that first
    async with elsewhere() as the:
        complete = await the.ask_as(ADMIN)
        await the.misbehave("metrics", faults)
        kept, nothing_kept = await the.ask_as(ADMIN), await the.ask_as(ADA, OWN)

        if fault in METRICS_HARMLESS:
            assert kept.is_complete
            assert nothing_kept.is_complete
        else:
            assert_kept(kept, complete, f"metrics;reason={reason}", STATS.deadline)
            assert_failed(nothing_kept, STATS_FAILED, STATS.deadline)
        await assert_heals(the, "metrics", lambda: the.ask_as(ADA, OWN))


@every_fault
async def test_members(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memberships, "_FRESH_SECONDS", 0)
    faults, reason = ALL[fault]
    async with elsewhere() as the:
        complete = await the.ask_as(ADMIN)
        await the.misbehave("clerk", faults)
        kept, nothing_kept = await the.ask_as(ADMIN), await the.ask_as(ADA, f"{OWN}&metadataKey=department")

        assert_kept(kept, complete, f"clerk;reason={reason}", STATS.deadline)
        assert_failed(nothing_kept, STATS_FAILED, STATS.deadline)
        assert (await the.ask_as(ADMIN, EVERYBODYS)).is_complete  # who the members are does not matter to all
        await assert_heals(the, "clerk", lambda: the.ask_as(ADMIN))


@every_fault
async def test_keys(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerk, "_FIRST_REFRESH_SECONDS", 0.05)
    async with elsewhere() as the:
        await the.misbehave("clerk", ALL[fault][0])
        answer = await the.ask_as(ADA, OWN)

        if fault in KEYS_HARMLESS:
            assert answer.is_complete
        else:
            assert_failed(answer, UNAVAILABLE, STATS.deadline)
            assert answer.headers["retry-after"]
        await assert_heals(the, "clerk", lambda: the.ask_as(ADA, OWN))


@every_fault
async def test_codex(fault: str) -> None:
    faults, reason = ALL[fault]
    async with elsewhere() as the:
        complete = await the.ask_codex()
        await the.misbehave("codex", faults)
        kept, nothing_kept = await the.ask_codex(), await the.ask_codex(f'"{codex.SESSION}"')

        for plan, before, again, stranger in zip((OVERVIEW, MODELS), complete, kept, nothing_kept, strict=True):
            if plan is MODELS and fault in MODELS_HARMLESS:
                assert again.is_complete
                assert stranger.is_complete
            elif fault == "401":
                assert_failed(again, LOGGED_OUT, plan.deadline)
                assert_failed(stranger, LOGGED_OUT, plan.deadline)
            else:
                assert_kept(again, before, f"codex;reason={reason}", plan.deadline)
                assert_failed(stranger, CODEX_DOWN, plan.deadline)
        await assert_heals(the, "codex", lambda: the.ask(OVERVIEW.path, anew=True, Cookie=LOGGED_IN))
        await assert_heals(the, "codex", lambda: the.ask(MODELS.path, anew=True, Cookie=LOGGED_IN))


async def test_members_are_known_for_a_minute() -> None:
    async with elsewhere() as the:
        assert (await the.ask_as(ADMIN)).is_complete
        await the.misbehave("clerk", ALL["refuse"][0])
        assert (await the.ask_as(ADMIN, f"{BY_METADATA}&metadataValue=sales")).is_complete


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


async def assert_heals(the: Elsewhere, upstream: str, ask: Callable[[], Awaitable[Answer]]) -> None:
    await the.misbehave(upstream, None)

    async def is_complete() -> bool:
        return (await ask()).is_complete

    await until(is_complete)

"""Every fault of the wire to every upstream of every plan: answered as a fault of the upstream is, and it heals.

All that ask one upstream are asked at once, so that each fault is put to all of them in the time of one.
"""

from typing import Any, Final

import pytest

from bff.endpoints import PLANS
from demo.people import ADMIN
from tests.faults import elsewhere as others
from tests.faults import test_action_faults as actions
from tests.faults import test_agent_faults as agents
from tests.faults import test_store_faults as store
from tests.faults import test_upstream_faults as dashboards
from tests.faults.elsewhere import Elsewhere, elsewhere
from tests.faults.proxy import Fault, Proxy
from tests.faults.questions import AGENT_READS, READS, WRITES, reading
from tests.faults.rig import HTTP, Answer, facing, rig, until
from tests.faults.table import SLACK
from tests.faults.test_more_dashboards import CHECKS, check_keys
from tests.faults.test_promises import PATIENT, statuses

# What a wire does that changes no answer.
CALM: Final[dict[Fault, dict[str, Any]]] = {
    "latency": {"seconds": 0.02},
    "jitter": {"seconds": 0.05},
    "bandwidth": {"rate": 1_000_000},
    "slices": {"size": 5},
}

# What it does that nothing arrives in spite of, and as which fault of an upstream that is answered.
STORM: Final[dict[Fault, str]] = {
    "bandwidth": "slow",
    "hang": "hang",
    "half_open": "hang",
    "truncation": "truncated",
    "reset": "reset",
    "refuse": "refuse",
}

UPSTREAMS: Final = sorted({source.upstream for plan in READS for source in plan.sources} - {"user_store"})
ACTED_ON: Final = sorted({upstream for action in WRITES for upstream in action.asks} & {"gateway", "backend"})
SOUND: Final = [plan for plan in READS if plan.name != "agent.unknown"]

every_calm = pytest.mark.parametrize("calm", CALM)
every_storm = pytest.mark.parametrize(("storm", "fault"), STORM.items(), ids=STORM)


def test_every_upstream_is_behind_a_wire() -> None:
    asked = {source.upstream for plan in PLANS for source in plan.sources}
    assert asked | {"clerk"} == {*UPSTREAMS, *others.UPSTREAMS, "user_store"}  # which has the keys, too


@every_calm
async def test_what_arrives_slowly_or_in_pieces_is_the_same(calm: Fault, between: Proxy) -> None:
    async with rig(store.url(between), wired=True) as the:
        complete = await the.complete(SOUND)
        await between.misbehave(calm, **CALM[calm])
        assert await the.answers_again(SOUND, complete)
        await between.misbehave(None)
        for upstream in UPSTREAMS:
            await the.lines.misbehave(None)
            size = 250 if upstream == "sessions" else 5  # whole conversations are more than a hundred kilobytes
            await the.lines.misbehave(calm, upstream, **CALM[calm] | {"size": size})
            assert await the.answers_again(reading(SOUND, upstream), complete), upstream


@every_calm
async def test_nor_does_it_change_what_others_are_told(calm: Fault) -> None:
    async with elsewhere(wired=True) as the:
        before = await all_of(the)
        await the.lines.misbehave(calm, **CALM[calm])
        again = await all_of(the)

        assert all(answer.is_complete for answer in (*before, *again))
        assert [answer.body for answer in again] == [answer.body for answer in before]


async def all_of(the: Elsewhere) -> list[Answer]:
    return [await the.ask_as(ADMIN), *await the.ask_codex()]


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("upstream", UPSTREAMS)
@every_storm
async def test_storm(upstream: str, storm: Fault, fault: str, sqlite_url: str) -> None:
    plans = reading(SOUND, upstream)
    async with rig(sqlite_url, facing(upstream, fault), wired=True) as the:
        complete = await the.complete(plans)
        await the.lines.misbehave(storm, upstream)
        answers = await the.ask_all(plans)

        for plan in plans:
            checks = agents if plan in AGENT_READS else dashboards
            checks.assert_documented(plan, upstream, fault, complete[plan.name], answers[plan.name])

        await the.lines.misbehave(None)
        await until(lambda: the.answers_again(plans, complete))


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("upstream", ACTED_ON)
@every_storm
async def test_7_an_action_is_asked_for_once_at_most(
    upstream: str, storm: Fault, fault: str, own_sqlite_url: str
) -> None:
    asking = actions.asking(upstream)
    async with rig(own_sqlite_url, facing(upstream, fault), wired=True) as the:
        await until(lambda: actions.work_again(the, asking))
        before = the.heard(upstream)
        await the.ask_all(asking)
        once = the.heard(upstream) - before
        await the.lines.misbehave(storm, upstream)
        answers = await the.ask_all(asking)

        assert the.heard(upstream) - before - once <= once
        for action in asking:
            actions.assert_documented(action, upstream, fault, answers[action.name])

        await the.lines.misbehave(None)
        await until(lambda: actions.work_again(the, asking))


@pytest.mark.parametrize("upstream", others.UPSTREAMS)
@every_storm
async def test_storm_elsewhere(upstream: str, storm: Fault, fault: str, members_asked_for_each_time: None) -> None:
    async with elsewhere(policy=others.facing(fault), wired=True) as the:

        async def misbehave(wanted: str | None) -> None:
            await the.lines.misbehave(storm if wanted else None, upstream)

        await CHECKS[upstream](the, fault, misbehave)


@every_storm
async def test_storm_before_the_keys_are_known(storm: Fault, fault: str, keys_asked_for_again_soon: None) -> None:
    async with elsewhere(policy=others.facing(fault), wired=True) as the:

        async def misbehave(wanted: str | None) -> None:
            await the.lines.misbehave(storm if wanted else None, "clerk")

        await check_keys(the, fault, misbehave)


@pytest.mark.parametrize("storm", ["bandwidth", "half_open", "truncation"])
async def test_storm_before_the_store(storm: Fault, between: Proxy) -> None:
    needing = [*store.NEEDING, *store.AGENTS_NEEDING, *store.WRITES_NEEDING]
    async with rig(store.url(between), store.LASTING) as the:
        await store.make_sessions_known(the)
        await between.misbehave(storm)
        answers = await the.ask_all(needing)

        for operation in needing:
            assert answers[operation.name].seconds < operation.deadline + SLACK
            store.assert_documented(operation, answers[operation.name])

        await between.misbehave(None)
        await until(lambda: store.are_complete(the, needing))


async def test_1_no_answer_is_late_when_every_wire_trickles_and_none_is_given_up(sqlite_url: str) -> None:
    async with rig(sqlite_url, {"upstreams": dict.fromkeys(HTTP, PATIENT)}, wired=True) as the:
        await the.lines.misbehave("bandwidth", rate=20)
        answers = await the.ask_all(READS)

    assert {name: answer.status for name, answer in answers.items()} == statuses(HTTP)
    for plan in READS:
        assert answers[plan.name].seconds < plan.deadline + SLACK

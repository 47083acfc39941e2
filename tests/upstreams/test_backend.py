"""The agent management service: every captured exchange, and what becomes of it."""

from datetime import UTC, datetime

import pytest

from tests.upstreams.answers import CAPTURES, Upstream, captured
from tests.upstreams.backend_calls import ADA, backend, failure_of
from upstreams.backend import (
    BackendAgent,
    BackendHealth,
    InstanceStats,
    LifecycleResult,
    Verification,
    Verified,
    VerifyRequest,
)
from upstreams.failure import Reason

ID = "agent-plain"
EAS = VerifyRequest("eas", attestation_uid="0xabc")

PLAIN = BackendAgent(
    id=ID,
    status="stopped",
    started_at=datetime(2026, 9, 1, 10, tzinfo=UTC),
    plan="solo",
    subdomain="agent-plain.agents.localhost",
    url="https://agent-plain.agents.localhost",
    openclaw_version="latest",
)
RUNNING = BackendAgent(
    id=ID,
    status="active",
    started_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
    plan="collective",
    subdomain="agent-plain.agents.localhost",
    url="https://agent-plain.agents.localhost",
    openclaw_version="2026.4.2",
)
STATS = InstanceStats(
    agent_id=ID,
    cpu="3.41%",
    memory="412.3MiB / 2GiB",
    memory_percent="20.13%",
    network="1.2MB / 840kB",
    pids="42",
    status="running",
    uptime=78518792,
    uptime_formatted="21h 48m",
    block_io="12MB / 3MB",
    timestamp=datetime(2026, 11, 21, 7, 48, 38, 792000, tzinfo=UTC),
)
VERIFIED_AT = datetime(2026, 11, 21, 7, 47, 9, 109000, tzinfo=UTC)


def lifecycle(action):
    return lambda it: it.lifecycle(ADA, ID, action)


def agent(it):
    return it.agent(ADA, ID)


ANSWERS = {
    "health": (lambda it: it.health(), BackendHealth("ok")),
    "agent-get-plain": (agent, PLAIN),
    "agent-get-ok": (agent, RUNNING),
    "instance-stats-ok": (lambda it: it.instance_stats(ADA, ID), STATS),
    "token": (
        lambda it: it.token(ADA, ID),
        "7443601d5e8b1cd14e9494a3e0f362c00c1415e3c1af0486ab7ccc7e1c2eb22c",
    ),
    "start-ok": (lifecycle("start"), LifecycleResult(True, "active")),
    "stop-ok": (lifecycle("stop"), LifecycleResult(True, "stopped")),
    "restart-ok": (lifecycle("restart"), LifecycleResult(True, "active")),
    "update-ok": (lifecycle("update"), LifecycleResult(True, "active")),
    "repair-ok": (lifecycle("repair"), LifecycleResult(True, message="Agent repaired successfully")),
    "reset-memory-ok": (lifecycle("reset-memory"), LifecycleResult(True, message="Memory reset successfully")),
    "verification": (lambda it: it.verification(ADA, ID), Verification(False)),
    "verification-after": (
        lambda it: it.verification(ADA, ID),
        Verification(True, "eas", "0xabc", "0xdef", VERIFIED_AT, {"note": "t"}),
    ),
    "verify-post": (lambda it: it.verify(ADA, ID, EAS), Verified(True, True, "eas", "0xabc", VERIFIED_AT)),
    "verify-delete": (lambda it: it.unverify(ADA, ID), None),
}

FAILURES = {
    "agents-noauth": (agent, Reason.STATUS, 401, True),
    "agents-wrong-key": (agent, Reason.STATUS, 403, True),
    "agent-get-owned": (agent, Reason.STATUS, 403, True),
    "agent-get-404": (agent, Reason.STATUS, 404, True),
    "agent-config-get": (lambda it: it.config(ADA, ID), Reason.STATUS, 404, False),
    "metrics-historical-bearer-only": (agent, Reason.STATUS, 401, True),
    "metrics-historical-badsig": (agent, Reason.STATUS, 401, True),
    "instance-stats-failing": (lambda it: it.instance_stats(ADA, ID), Reason.STATUS, 500, True),
    "start-failing": (lifecycle("start"), Reason.STATUS, 500, True),
    "job-provision-badjson": (lambda it: it.provision(ADA, {}), Reason.STATUS, 400, False),
    "rate-limited": (agent, Reason.RATE_LIMITED, 429, True),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_captured_answer_is_understood(name):
    ask, understood = ANSWERS[name]
    assert await ask(backend(Upstream(captured(f"agentbot-backend/{name}")))) == understood


@pytest.mark.parametrize("name", FAILURES)
async def test_a_captured_failure_is_told_by_its_reason_and_status_alone(name):
    ask, reason, status, in_json = FAILURES[name]
    failure = await failure_of(ask(backend(Upstream(captured(f"agentbot-backend/{name}")))))
    assert (failure.upstream, failure.reason, failure.status, failure.in_json) == (
        "backend",
        reason,
        status,
        in_json,
    )
    assert str(failure) == f"backend: {reason} {status}"


async def test_a_rate_limit_tells_how_long_it_lasts():
    failure = await failure_of(agent(backend(Upstream(captured("agentbot-backend/rate-limited")))))
    assert failure.retry_after == 5


def test_no_capture_is_left_out():
    names = {path.stem for path in (CAPTURES / "agentbot-backend").glob("*.http")}
    assert set(ANSWERS) | set(FAILURES) == names

"""Every operation that the gateway has, every documented error, and what every answer has in common."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.contract.answer import everything, found, in_answer
from tests.contract.case import Case, Step, load
from tests.contract.database import in_store
from tests.contract.expect import Expectation
from tests.contract.gateways import SECRETS, Running, in_process, on_the_wire
from tests.contract.heard import in_asked
from tests.contract.request import request_of

CASES = list(load())
COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture
def now() -> datetime:
    """Return this moment as the store keeps it: in milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.fixture(params=["in process", "on the wire"])
async def running(
    request: pytest.FixtureRequest, case: Case, now: datetime, tmp_path: Path
) -> AsyncIterator[Running]:
    if request.param == "in process":
        async with in_process(case, now, tmp_path) as running:
            yield running
        return
    store, forks = (request.getfixturevalue(name) for name in ("postgres_store", "forks"))
    async with on_the_wire(case, now, tmp_path, store, forks) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_contract(case: Case, running: Running, now: datetime) -> None:
    for step in case.steps:
        running.heard.clear()
        answer = await running.ask(request_of(step, now, running.words), step.client)
        await answer.aread()
        expectation = Expectation(now, running.words)
        problems = list(in_answer(step, answer, expectation))
        problems += in_asked(step.asked, running.heard, expectation)
        problems += await in_store(step.left, running.store, expectation)
        assert not problems, "\n".join([f"{step.method} {step.target[:200]} -> {answer.text[:2000]}", *problems])
        _assert_common(step, answer)
        running.words["<the etag>"] = answer.headers.get("etag", "")
        running.words.update({f"<the {name}>": found(path, answer) for name, path in step.remember.items()})


def _assert_common(step: Step, answer: httpx.Response) -> None:
    assert answer.headers.items() >= COMMON.items()
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert "server" not in answer.headers
    _assert_content(step, answer)
    told = str(answer.headers.raw)
    assert "session-of-" not in told
    assert "token-of-" not in told
    assert not [secret for secret in SECRETS if secret in everything(answer)]
    if "token-of-" in answer.text:
        assert answer.headers["cache-control"] == "private, no-store"


def _assert_content(step: Step, answer: httpx.Response) -> None:
    if answer.status_code in {204, 304}:
        assert not answer.content
        assert "content-length" not in answer.headers
    elif step.events is not ...:
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        assert answer.headers["cache-control"] == "private, no-store"
    elif answer.content and step.method != "OPTIONS":
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json(), dict)

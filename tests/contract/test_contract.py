"""Every operation of documents 000 and 002, every documented error, and what every answer has in common."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.jwk import OctKey

from tests.contract.case import Case, Step, load
from tests.contract.expect import Expectation
from tests.contract.gateways import HOST, NEXTAUTH_SECRET, Running, in_process, on_the_wire
from tests.contract.store import token_of

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
    store, launcher = (request.getfixturevalue(name) for name in ("postgres_store", "launcher"))
    async with on_the_wire(case, now, tmp_path, store, launcher) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_contract(case: Case, running: Running, now: datetime) -> None:
    ask, words = running
    words = dict(words)
    for step in case.steps:
        answer = await ask(_request(step, now, words))
        await answer.aread()
        expectation = Expectation(now, words)
        problems = [*_in_status_and_headers(step, answer, expectation), *_in_body(step, answer, expectation)]
        problems += [f"says {text}" for text in step.never if text in _everything(answer)]
        assert not problems, "\n".join([f"{step.method} {step.target[:200]} -> {answer.text[:2000]}", *problems])
        _assert_common(step, answer)
        words["<the etag>"] = answer.headers.get("etag", "")


def _request(step: Step, now: datetime, words: dict[str, str]) -> httpx.Request:
    headers = {"Host": HOST} | _credentials(step, now)
    for name, value in step.headers.items():
        filled = reduce(lambda text, word: text.replace(*word), words.items(), value)
        headers[name] = f"{headers[name]}; {filled}" if name == "Cookie" and name in headers else filled
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    content = step.content.encode() or None
    return httpx.Request(step.method, f"http://{HOST}{step.target}", headers=raw, content=content)


def _credentials(step: Step, now: datetime) -> dict[str, str]:
    if step.who is None:
        return {}
    token = token_of(step.who)
    match step.by:
        case "cookie":
            return {"Cookie": f"agentbot-session={token}"}
        case "secure cookie":
            return {"Cookie": f"__Secure-agentbot.session-token={token}"}
        case "bearer":
            return {"Authorization": f"Bearer {token}"}
    session = _nextauth(step.who, now + timedelta(hours=-1 if "expired" in step.by else 1))
    if "chunked" not in step.by:
        return {"Cookie": f"next-auth.session-token={session}"}
    half = len(session) // 2
    name = "__Secure-next-auth.session-token"
    return {"Cookie": f"{name}.0={session[:half]}; {name}.1={session[half:]}"}


def _nextauth(user_id: str, expires: datetime) -> str:
    info = b"NextAuth.js Generated Encryption Key"
    key = HKDF(algorithm=SHA256(), length=32, salt=b"", info=info).derive(NEXTAUTH_SECRET.encode())
    claims = {"sub": user_id, "email": f"{user_id}@example.com", "exp": int(expires.timestamp())}
    header = {"alg": "dir", "enc": "A256GCM"}
    return jwe.encrypt_compact(header, json.dumps(claims), OctKey.import_key(key), algorithms=["dir", "A256GCM"])


def _in_status_and_headers(step: Step, answer: httpx.Response, expectation: Expectation) -> list[str]:
    problems = []
    if answer.status_code not in step.status:
        problems.append(f"status: expected {step.status}, got {answer.status_code}")
    for name, expected in step.tells.items():
        told = answer.headers.get(name)
        if (told is None) != (expected is None) or (told and expected and not expectation.text(expected, told)):
            problems.append(f"{name}: expected {expected}, got {told}")
    return problems


def _in_body(step: Step, answer: httpx.Response, expectation: Expectation) -> list[str]:
    expected, partly = (step.body, False) if step.body is not ... else (step.contains, True)
    if expected is ...:
        return []
    if expected is None:
        return [] if answer.content == b"" else ["body: expected none"]
    try:
        body = answer.json()
    except ValueError:
        return ["body: expected JSON"]
    return list(expectation.differences(expected, body, partly=partly))


def _everything(answer: httpx.Response) -> str:
    return f"{answer.headers.raw}{answer.text}"


def _assert_common(step: Step, answer: httpx.Response) -> None:
    assert answer.headers.items() >= COMMON.items()
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert "server" not in answer.headers
    if answer.content and step.method != "OPTIONS":
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json(), dict)
    told = str(answer.headers.raw)
    assert "session-of-" not in told
    assert "token-of-" not in told
    if "token-of-" in answer.text:
        assert answer.headers["cache-control"] == "private, no-store"

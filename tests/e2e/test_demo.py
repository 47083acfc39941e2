"""``bff demo``: what it prints works as printed."""

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from string import Template

import httpx
import pytest

from tests.e2e.process import COMMAND, WITHIN, environment


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the demo; give its process and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "demo", "--port", "0", "--ops-port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(None),
        cwd=tmp_path,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        printed = await asyncio.wait_for(process.stdout.readuntil(b"Ctrl-C ends everything.\n"), WITHIN)
        yield process, printed.decode()
    finally:
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.wait_for(process.communicate(), WITHIN)


async def test_demo_does_what_it_prints(demo: tuple[asyncio.subprocess.Process, str]) -> None:
    _, printed = demo
    answers = [await _curl(line) for line in _curl_lines(printed)]
    data, summary, break_it, broken, mend_it, *elsewhere = answers

    assert data.json()["health"]["status"] == "healthy"
    assert summary.json()["trial"]["active"] > 0
    assert break_it.json() == {"upstream": "gateway", "faults": {"hang": True}}
    assert broken.json()["health"]["status"] == "degraded"
    assert broken.headers["bff-degraded"] == "gateway;reason=timeout"
    assert mend_it.json() == {"upstream": "gateway", "faults": {}}
    _assert_codex_lb_answers(*elsewhere[:2])
    _assert_members_are_answered(*elsewhere[2:])

    public, ops = re.findall(r"http://127\.0\.0\.1:\d+", printed)[:2]
    for cookie in re.findall(r"(agentbot-session=\S+)$", printed, re.MULTILINE):
        assert (await _curl(f"curl -b {cookie} {public}/api/dashboard/bootstrap")).status_code == 200
    assert (await _curl(f"curl {ops}/readyz")).json() == {"status": "ready"}


def _assert_codex_lb_answers(overview: httpx.Response, models: httpx.Response) -> None:
    assert overview.json()["accountCounts"]["total"] == 8
    assert (models.status_code, models.json()["error"]["code"]) == (401, "totp_required")


def _assert_members_are_answered(*stats: httpx.Response) -> None:
    assert [answer.status_code for answer in stats] == [200] * 4
    everybody, sales, member, member_v1 = (answer.json() for answer in stats)
    assert everybody["uniqueUsers"] > sales["uniqueUsers"] > member["uniqueUsers"] == 1
    assert member == member_v1
    assert {answer["kbFileCount"] for answer in (everybody, sales, member)} == {everybody["kbFileCount"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_demo_ends_with_all_that_it_started(
    demo: tuple[asyncio.subprocess.Process, str], number: signal.Signals
) -> None:
    process, printed = demo
    process.send_signal(number)
    _, errors = await asyncio.wait_for(process.communicate(), WITHIN)

    assert errors == b""
    for url in re.findall(r"http://127\.0\.0\.1:\d+", printed)[:3]:
        with pytest.raises(httpx.ConnectError):
            await _curl(f"curl {url}/")


def _curl_lines(printed: str) -> list[str]:
    exported = dict(re.findall(r"^  export (\w+)=(\S+)$", printed, re.MULTILINE))
    lines = Template(printed).substitute(exported).splitlines()
    return [part.strip() for line in lines for part in line.split(";") if "curl " in part]


async def _curl(line: str) -> httpx.Response:
    """Do what curl would do."""
    words = shlex.split(line)[1:]
    method, url, headers, content = "GET", "", {}, None
    while words:
        match words.pop(0):
            case "-b":
                headers["Cookie"] = words.pop(0)
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                method, content = "POST", words.pop(0)
            case "-X":
                method = words.pop(0)
            case "-s" | "-si":
                pass
            case word:
                url = word
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        return await client.request(method, url, headers=headers, content=content)

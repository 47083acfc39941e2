"""Promise 6: what an upstream sends is capped, so that no answer of theirs grows the gateway."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bff.plans import Operation
from demo.faults import Faults
from demo.platform import Platform, Ports
from tests.e2e.process import serving
from tests.faults.questions import READS, WRITES, asker, content, method, url
from tests.faults.rig import OFTEN

MEBIBYTE = 1024 * 1024
# Not what has no success, nor what leaves an agent of which there are no figures.
OPERATIONS = [each for each in (*READS, *WRITES) if each.name not in {"agent.unknown", "instance.stop"}]
HOSTILE = {name: Faults(**{name: True}) for name in ("huge", "gzip_bomb", "deep")}


@pytest.mark.parametrize("name", HOSTILE)
async def test_6_hostile_answers_do_not_grow_the_process(name: str, own_sqlite_url: str, tmp_path: Path) -> None:
    async with Platform(Ports.free()) as platform:
        settings = platform.settings(Path(urlsplit(own_sqlite_url).path[1:]))
        settings["limits"] = {"provision_per_minute": OFTEN, "chat_per_minute": OFTEN}
        for patient in ("gateway", "metrics", "backend"):
            settings["upstreams"][patient]["breaker"] = {"failures": OFTEN}
        async with (
            serving(settings, tmp_path) as bff,
            httpx.AsyncClient(base_url=bff.public, trust_env=False, timeout=10) as client,
        ):
            for _ in range(5):
                assert max(await _ask_for_everything(client)) < 300
            before = _resident(bff.process.pid)
            for upstream in platform.upstreams.values():
                await upstream.misbehave(HOSTILE[name])
            for _ in range(5):
                assert set(await _ask_for_everything(client)) == {200, 500, 502}
            grown = _resident(bff.process.pid) - before

    assert grown < 20 * MEBIBYTE


async def _ask_for_everything(client: httpx.AsyncClient) -> list[int]:
    """Return the status of each operation."""
    return await asyncio.gather(*(_ask(client, each) for each in OPERATIONS))


async def _ask(client: httpx.AsyncClient, operation: Operation[Any]) -> int:
    cookie = f"agentbot-session={asker(operation).session_token}"
    answer = await client.request(
        method(operation),
        url(operation),
        headers={"Cache-Control": "no-cache", "Cookie": cookie},
        content=content(operation),
    )
    return answer.status_code


def _resident(pid: int) -> int:
    """Return the bytes of memory that the process holds."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

"""Promise 6: what an upstream sends is capped, so that no answer of theirs grows the gateway."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from bff.endpoints import PLANS
from bff.plans import Access
from demo.faults import Faults
from demo.people import ADMIN
from demo.platform import Platform, Ports
from tests.e2e.process import serving
from tests.faults.rig import BOB

MEBIBYTE = 1024 * 1024
HOSTILE = {name: Faults(**{name: True}) for name in ("huge", "gzip_bomb", "deep")}


@pytest.mark.parametrize("name", HOSTILE)
async def test_6_hostile_answers_do_not_grow_the_process(name: str, sqlite_url: str, tmp_path: Path) -> None:
    async with Platform(Ports.free()) as platform:
        settings = platform.settings(Path(urlsplit(sqlite_url).path[1:]))
        for patient in ("gateway", "metrics"):
            settings["upstreams"][patient]["breaker"] = {"failures": 1_000_000}
        async with (
            serving(settings, tmp_path) as bff,
            httpx.AsyncClient(base_url=bff.public, trust_env=False, timeout=10) as client,
        ):
            for _ in range(5):
                await _ask_for_everything(client)
            before = _resident(bff.process.pid)
            for upstream in platform.upstreams.values():
                await upstream.misbehave(HOSTILE[name])
            for _ in range(5):
                await _ask_for_everything(client)
            grown = _resident(bff.process.pid) - before

    assert grown < 20 * MEBIBYTE


async def _ask_for_everything(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(
            client.get(
                plan.path,
                headers={
                    "Cache-Control": "no-cache",
                    "Cookie": f"agentbot-session={ADMIN.session_token if plan.access is Access.ADMIN else BOB}",
                },
            )
            for plan in PLANS
        )
    )
    assert {answer.status_code for answer in answers} == {200}


def _resident(pid: int) -> int:
    """Return the bytes of memory that the process holds."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

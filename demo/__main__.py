"""Run the pretend platform alone: ``python -m demo [--port-base N] [--store FILE]``."""

import argparse
import asyncio
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

from demo import codex, store
from demo.people import ADA, ADMIN
from demo.platform import Platform, Ports


async def run(ports: Ports, path: Path | None) -> None:
    """Run until SIGINT or SIGTERM; print the URLs as one line of JSON when everything answers."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Platform(ports) as platform:
        told: dict[str, Any] = {"control": platform.control_url} | platform.urls
        if path is not None:
            store.create(path, datetime.now(UTC), platform.urls["gateway"])
            told |= {
                "settings": platform.settings(path),
                "store": str(path),
                "session": store.DEMO_TOKEN,
                "admin_session": store.ADMIN_TOKEN,
            }
            told |= _sessions_elsewhere(platform)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await stop.wait()


def _sessions_elsewhere(platform: Platform) -> dict[str, str]:
    """Return Clerk tokens of an administrator and a member, and codex-lb sessions."""
    tokens = platform.clerk.token
    return {
        "admin_token": tokens(ADMIN.id),
        "admin_token_v1": tokens(ADMIN.id, version=1),
        "member_token": tokens(ADA.id),
        "member_token_v1": tokens(ADA.id, version=1),
        "codex_session": codex.SESSION,
        "codex_totp_session": codex.TOTP_SESSION,
    }


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="The pretend platform, without a gateway.")
    parser.add_argument(
        "--port-base",
        type=int,
        metavar="N",
        help="the first of nine ports, the control port (default 9100); 0 for free ones",
    )
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="create and seed this SQLite file (an existing one is replaced)"
    )
    given = parser.parse_args()
    ports = Ports() if given.port_base is None else Ports.free()
    if given.port_base:
        ports = Ports.counted_from(given.port_base)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(ports, given.store))


if __name__ == "__main__":
    main()

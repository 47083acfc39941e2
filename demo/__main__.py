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

from demo import store
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
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="The pretend platform, without a gateway.")
    parser.add_argument(
        "--port-base",
        type=int,
        metavar="N",
        help="the first of seven ports, the control port (default 9100); 0 for free ones",
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

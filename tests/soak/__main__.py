"""``python -m tests.soak``: soak two replicas and print the account; 1 when it is not clean."""

import argparse
import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import uvloop

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to ask for (default 10)")
    parser.add_argument("--seed", type=int, help="of the traffic and the weather (default: any, printed)")
    parser.add_argument("--only", metavar="TEXT", help="only faults with this in their name")
    given = parser.parse_args()
    seed = secrets.randbelow(10_000) if given.seed is None else given.seed
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # connections that break are what the proxies are for
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(_until_told(soak(given.minutes * 60, seed, given.only or ""))) else 1


async def _until_told(soaking: Coroutine[Any, Any, bool]) -> bool:
    """Return what it returns; SIGTERM ends it as SIGINT does, with everything that it has started."""
    task = asyncio.ensure_future(soaking)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(main())

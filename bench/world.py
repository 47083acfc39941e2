"""Everything the servers stand on: PostgreSQL with its rows, the pretend gateway, and the load."""

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from bench import open_loop, store
from bench.load import Job, Window
from bench.open_loop import Offered
from bench.servers import Server, World
from bench.upstream import COUNTS, STATEMENTS
from demo.upstream import SWITCH
from tests.servers import postgres

HEALTH = "/healthz"
SESSIONS = "/tools/invoke"


class Surroundings:
    """``direct`` is the world as it is; in ``counting`` the way to the database counts the statements."""

    def __init__(self, database: str, gateway: str, proxy: int) -> None:
        self.direct = World(database, gateway)
        host, _, name = database.rpartition("@127.0.0.1:")
        self.counting = World(f"{host}@127.0.0.1:{proxy}/{name.partition('/')[2]}", gateway)
        self._gateway = gateway

    def delay(self, seconds: float) -> None:
        """Let every answer of the pretend gateway take so much longer; 0: none."""
        fault = {"latency": seconds} if seconds else {}
        self._ask(SWITCH, json.dumps(fault).encode())

    def counts(self) -> dict[str, int]:
        """Return the calls of each path of the gateway and, through ``counting``, the statements so far."""
        told: dict[str, int] = self._ask(COUNTS)
        return {name: told.get(name, 0) for name in (HEALTH, SESSIONS, STATEMENTS)}

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(self._gateway + path, body, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Start everything but the servers under test; fill the database."""
    with postgres() as database:
        port = database.rpartition(":")[2].partition("/")[0]
        command = [sys.executable, "-m", "bench.upstream", port]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                told = json.loads(process.stdout.readline())
                asyncio.run(store.fill(database, told["gateway"]))
                yield Surroundings(database, told["gateway"], told["postgres"])
            finally:
                process.terminate()


def request(user: int, path: str = "/api/dashboard/analytics", *, cached: bool) -> str:
    """Return the bytes of a user's request; one that is not ``cached`` asks for an answer made anew."""
    anew = "" if cached else "cache-control: no-cache\r\n"
    cookie = f"cookie: agentbot-session={store.session_token(user)}\r\n"
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\n{cookie}{anew}\r\n"


def load(
    server: Server, requests: Sequence[str], seconds: float, warm_up: float = 0.0, every: float = 0.0
) -> Window:
    """Let a process of its own ask, over one connection for each request, and return what it measured.

    Raises RuntimeError for any answer but a 200.
    """
    job = Job(server.port, server.pid, list(requests), seconds, warm_up, every)
    return Window(**_done(server, "bench.load", asdict(job)))


def offer(
    server: Server, requests: Sequence[str], rate: float, seconds: float, *, connections: int, warm_up: float = 0.0
) -> Offered:
    """Let a process of its own ask at this rate, however the server answers, and return what became of it."""
    job = open_loop.Job(server.port, server.pid, list(requests), rate, seconds, connections, warm_up)
    return Offered(**_done(server, "bench.open_loop", asdict(job)))


def _done(server: Server, module: str, job: Any) -> Any:
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr.splitlines()[-1]}")
    return json.loads(done.stdout)

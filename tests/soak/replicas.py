"""Two replicas of ``bff serve`` as processes: started, drained, killed, watched and measured."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.e2e.process import Serving, serving
from tests.soak.wire import Answer, Connection, Cut, Silent

_WATCH_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 3.0
_IDLE_SECONDS: Final = 30.0  # less than the gateway keeps an idle connection
DRAIN_SECONDS: Final = 10.0

_ONCE: Final = re.compile(r"Task-\d+|0x[0-9a-f]+")

# Readiness is to tell of draining alone: a balancer that takes both replicas out serves nobody anything.
_NEEDS_NOTHING: Final = {"BFF_OPS__READY_NEEDS": ","}


class Life:
    """One process of a replica, from its ready line to its end; times in seconds of the monotonic clock."""

    def __init__(self, name: str, serving: Serving) -> None:
        self.name = name
        self.process = serving.process
        self.log = serving.errors
        self.port = _port(serving.public)
        self.ops_port = _port(serving.ops)
        self.began = time.monotonic()
        self.ended: float | None = None
        self.is_killed = False
        self.is_draining = False
        self.is_gone = False
        self.liveness: list[float] = []
        self.without_redis: list[float] = []
        self.memory: list[tuple[float, float]] = []
        self.descriptors: list[int] = []
        self._idle: list[tuple[Connection, float]] = []

    @property
    def takes_requests(self) -> bool:
        return not (self.is_killed or self.is_draining or self.is_gone)

    async def connection(self) -> Connection:
        """Return a connection that is kept and open, else a new one. Raises OSError."""
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and time.monotonic() - since < _IDLE_SECONDS:
                return connection
            connection.abort()
        return await Connection.open(self.port)

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose answer has been read."""
        if connection.is_open and self.takes_requests:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.abort()

    def let_go(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop()[0].abort()

    async def watch(self) -> None:
        """Ask again and again whether it lives and is ready, as a balancer does, until it is gone."""
        while not self.is_gone:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                connection = await Connection.open(self.ops_port)
                asked = time.monotonic()
                await connection.ask(_get("/livez"), within=_PATIENCE_SECONDS)
                self.liveness.append(time.monotonic() - asked)
                ready = await connection.ask(_get("/readyz"), within=_PATIENCE_SECONDS)
                figures = await connection.ask(_get("/metrics"), within=_PATIENCE_SECONDS)
                connection.abort()
            except (OSError, Cut, Silent):
                self.is_gone = self.process.returncode is not None
            else:
                self.is_draining = _is_draining(ready)
                if b"bff_redis_up 1.0" not in figures.body:
                    self.without_redis.append(asked)

    def was_without_redis(self, since: float, until: float) -> bool:
        """Return whether it said between the two moments, or just before or after, that Redis was not there."""
        margin = 2 * _WATCH_SECONDS
        return any(since - margin <= at <= until + margin for at in self.without_redis)

    def measure(self) -> None:
        """Note its memory (MiB, by its age in seconds) and its open descriptors."""
        if self.ended is None and self.process.returncode is None:
            folder = Path(f"/proc/{self.process.pid}")
            lines = (folder / "status").read_text().splitlines()
            resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
            self.memory.append((time.monotonic() - self.began, resident))
            self.descriptors.append(len(list((folder / "fd").iterdir())))

    @property
    def grown(self) -> tuple[float, float]:
        """The memory (MiB) after the first minute, else when first measured that late, and at the end."""
        later = [resident for age, resident in self.memory if age >= 60] or [self.memory[0][1]]
        return later[0], self.memory[-1][1]


class Replica:
    """A replica by its name: one life after the other."""

    def __init__(self, name: str, settings: Mapping[str, Any], folder: Path) -> None:
        self.name = name
        self.lives: list[Life] = []
        self.failures: list[str] = []
        self._settings = settings
        self._folder = folder
        self._stack = AsyncExitStack()
        self._watching: asyncio.Task[None] | None = None

    @property
    def life(self) -> Life:
        return self.lives[-1]

    async def start(self) -> None:
        folder = self._folder / f"{self.name}{len(self.lives) + 1}"
        folder.mkdir()
        self._serving = await self._stack.enter_async_context(serving(self._settings, folder, _NEEDS_NOTHING))
        self.lives.append(Life(self.name, self._serving))
        self.life.measure()
        self._watching = asyncio.create_task(self.life.watch())

    async def drain(self) -> None:
        """Send SIGTERM and return when it has ended; what was not as promised is added to ``failures``."""
        self.life.measure()
        asked = time.monotonic()
        self.life.process.terminate()
        try:
            status = await self._serving.ended()
        except TimeoutError:
            status = -1
        took = time.monotonic() - asked
        if status != 0 or took > DRAIN_SECONDS:
            self.failures.append(f"replica {self.name} ended with {status} after {took:.1f} s")
        await self._over()

    async def kill(self) -> None:
        self.life.measure()
        self.life.is_killed = True
        self.life.process.kill()
        await self.life.process.wait()
        await self._over()

    async def _over(self) -> None:
        self.life.ended = time.monotonic()
        self.life.is_gone = True
        self.life.let_go()
        assert self._watching is not None
        await self._watching
        await self._stack.aclose()

    async def close(self) -> None:
        """End it if it still runs, whatever state it is in."""
        if self.lives and self.life.ended is None:
            await (self.drain() if self.life.process.returncode is None else self._over())


def warnings(log: Path) -> Counter[str]:
    """Return what a gateway's log warns of and how often; a line that is no JSON counts as an error."""
    found: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            found[f"error: {line[:200]}"] += 1
            continue
        level = "error" if "exception" in told or told["level"] in {"error", "critical"} else told["level"]
        if level in {"warning", "error"}:
            found[f"{level}: {_told(told)}"] += 1
    return found


def _told(line: Mapping[str, Any]) -> str:
    """Return the event with what tells it from others, and nothing that tells this one time from another."""
    details = [str(line[name]) for name in ("reason", "feature", "failure", "operation") if line.get(name)]
    details += str(line.get("exception", "")).strip().splitlines()[-1:]
    told = f"{line['event']} ({', '.join(details)})" if details else line["event"]
    return _ONCE.sub("...", told.replace("\n", " "))


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bff\r\n\r\n".encode()


def _is_draining(ready: Answer) -> bool:
    return ready.status == 503 and json.loads(ready.body).get("reason") == "draining"


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port

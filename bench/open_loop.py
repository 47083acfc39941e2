"""``python -m bench.open_loop``: asks at a given rate, whether or not the answers come. Only so an overload shows.

A job comes in, what became of the requests goes out.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TICK = 0.001

GOOD = "good"
REFUSED = "503"


@dataclass(frozen=True)
class Job:
    """What to ask: the ``requests`` in turn, ``{n}`` in them being a number of each request's own.

    At this ``rate`` a second for ``seconds``, after ``warm_up`` seconds that do not count; at rate 0 each of the
    ``connections`` asks again as soon as it is answered. An answer that takes longer than ``patience`` is late.
    """

    port: int
    pid: int
    requests: list[str]
    rate: float
    seconds: float
    connections: int
    warm_up: float = 0.0
    patience: float = 2.05


@dataclass
class Offered:
    """What became of the requests: how many were answered how, and the seconds that good answers and 503s took.

    A good answer is a 200 in time that lacks nothing; others go by their status. Some may still be waiting for one
    (``waiting``), have been cut off (``closed``), or not been asked for want of a free connection (``unasked``).
    The server could run for this ``share`` of the time: for the rest, the kernel had it wait for other processes.
    """

    seconds: float = 0.0
    share: float = 1.0
    outcomes: Counter[str] = field(default_factory=Counter)
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """How many good answers there were in a second."""
        return len(self.good) / self.seconds

    @property
    def per_own_second(self) -> float:
        """How many good answers there were in a second in which the server could run."""
        return self.goodput / self.share


Answered = Callable[["_Connection", bytes, float], None]


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._received = b""
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> None:
        self._asked_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end + 2) if end >= 0 else None
        if length is None or len(data) < end + 4 + int(length[1]):
            self._received = data
            return
        self._received = b""
        self._answered(self, data[:end], time.perf_counter() - self._asked_at)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._answered(self, b"", 0.0)


class _Load:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._requests = [request.encode() for request in job.requests]
        self._numbers = count()
        self._free: list[_Connection] = []
        self._waiting = 0
        self._is_counting = False
        self._is_over = False
        self._offered = Offered()

    async def run(self) -> Offered:
        connect = asyncio.get_running_loop().create_connection
        for _ in range(self._job.connections):
            _, connection = await connect(lambda: _Connection(self._answered), "127.0.0.1", self._job.port)
            self._free.append(connection)
        opened = self._free.copy()
        try:
            await self._offer()
        finally:
            self._is_over = True
            for connection in opened:
                connection.transport.abort()
        return self._offered

    async def _offer(self) -> None:
        job, offered = self._job, self._offered
        began = time.perf_counter()
        counts_from = began + job.warm_up
        asked = 0
        kept_waiting = _kept_waiting(job.pid)
        while (now := time.perf_counter()) < counts_from + job.seconds:
            if now >= counts_from and not self._is_counting:
                self._is_counting = True
                kept_waiting = _kept_waiting(job.pid)
            due = len(self._free) if not job.rate else int((now - began) * job.rate) - asked
            asked += due
            for _ in range(due):
                self._ask()
            await asyncio.sleep(_TICK)
        offered.seconds = now - counts_from
        offered.share = 1 - (_kept_waiting(job.pid) - kept_waiting) / offered.seconds
        offered.outcomes["waiting"] = self._waiting

    def _ask(self) -> None:
        if not self._free:
            self._count("unasked", 0.0)
            return
        number = next(self._numbers)
        request = self._requests[number % len(self._requests)]
        self._waiting += 1
        self._free.pop().ask(request.replace(b"{n}", b"%d" % number))

    def _answered(self, connection: _Connection, head: bytes, took: float) -> None:
        if self._is_over:
            return
        if connection in self._free:  # nobody was waiting for its end
            self._free.remove(connection)
            return
        self._waiting -= 1
        self._count(self._outcome(head, took), took)
        if not head:
            return
        self._free.append(connection)
        if not self._job.rate:
            self._ask()

    def _outcome(self, head: bytes, took: float) -> str:
        if not head:
            return "closed"
        status = head[9:12].decode()
        if status != "200":
            return status
        if b"\r\nbff-degraded:" in head:
            return "degraded"
        return GOOD if took <= self._job.patience else "late"

    def _count(self, outcome: str, took: float) -> None:
        if not self._is_counting:
            return
        self._offered.outcomes[outcome] += 1
        if outcome == GOOD:
            self._offered.good.append(took)
        elif outcome == REFUSED:
            self._offered.refused.append(took)


def _kept_waiting(pid: int) -> float:
    """Return for how many seconds a process could have run so far but others did (proc_pid_schedstat(5))."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def main() -> None:
    job = Job(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        offered = runner.run(_Load(job).run())
    json.dump(vars(offered), sys.stdout)


if __name__ == "__main__":
    main()

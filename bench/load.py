"""``python -m bench.load``: asks a server over kept connections. A job comes in, what was measured goes out."""

import asyncio
import json
import re
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from bench.machine import cpu_seconds, own_cpus_busy_seconds

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Job:
    """What to ask: ``requests`` holds each connection's one request.

    Either for ``seconds``, after ``warm_up`` seconds that do not count; or, when ``seconds`` is 0, once each,
    all at the same moment. ``every`` is the least time from one request of a connection to its next.
    """

    port: int
    pid: int
    requests: list[str]
    seconds: float
    warm_up: float = 0.0
    every: float = 0.0


@dataclass(frozen=True)
class Window:
    """What was measured. ``us`` are microseconds; the latencies are of single requests.

    ``server_cpu_us`` is the server process's CPU time for each request, ``server_busy`` the share of the time it
    was running, ``others_busy`` that of the load's own CPUs. ``bodies`` counts each connection's last body.
    ``asked`` includes the requests of the warm-up.
    """

    requests: int
    asked: int
    seconds: float
    p50_us: float
    p99_us: float
    server_cpu_us: float
    server_busy: float
    others_busy: float
    bodies: dict[str, int]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Connection(asyncio.Protocol):
    """Asks again when it is answered and ``every`` seconds have passed, as long as ``again()``."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, every: float, again: Callable[[], bool]) -> None:
        self._request = request
        self._every = every
        self._again = again
        self._asked_at = 0.0
        self._received = b""
        self.latencies = array("d")
        self.body = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self._asked_at = time.perf_counter()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        head_end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, head_end) if head_end >= 0 else None
        if head_end >= 0 and length is None:
            self.fail("an answer without its length")
        elif length is None or len(data) < head_end + 4 + int(length[1]):
            self._received = data
        elif not data.startswith(b"HTTP/1.1 200"):
            self.fail(data.decode("utf-8", "replace"))
        else:
            self._received = b""
            self._answered(data[head_end + 4 :])

    def _answered(self, body: bytes) -> None:
        self.latencies.append(time.perf_counter() - self._asked_at)
        self.body = body
        if not self._again():
            self.done.set_result(None)
        elif self._every:
            pause = self._asked_at + self._every - time.perf_counter()
            asyncio.get_running_loop().call_later(max(0.0, pause), self.ask)
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"the server closed the connection: {exc}")

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Meter:
    """The clocks at the beginning of what is measured."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu = cpu_seconds(pid)
        self._busy = own_cpus_busy_seconds()
        self._started = time.perf_counter()

    def window(self, connections: Sequence[Connection], warmed_up: int) -> Window:
        seconds = time.perf_counter() - self._started
        cpu = cpu_seconds(self._pid) - self._cpu
        busy = own_cpus_busy_seconds() - self._busy
        latencies = sorted(each for connection in connections for each in connection.latencies)
        return Window(
            requests=len(latencies),
            asked=len(latencies) + warmed_up,
            seconds=seconds,
            p50_us=latencies[len(latencies) // 2] * 1e6,
            p99_us=latencies[int(len(latencies) * 0.99)] * 1e6,
            server_cpu_us=cpu / len(latencies) * 1e6,
            server_busy=cpu / seconds,
            others_busy=busy / seconds,
            bodies=dict(Counter(connection.body.decode() for connection in connections)),
        )


async def run(job: Job) -> Window:
    """Raise RuntimeError when any answer is not a 200."""
    loop = asyncio.get_running_loop()
    ends = 0.0

    def again() -> bool:
        return loop.time() < ends

    connections = [await _connect(job, request, again) for request in job.requests]
    ends = loop.time() + job.warm_up + job.seconds if job.seconds else 0.0
    meter = Meter(job.pid)
    for connection in connections:
        connection.ask()
    warmed_up = 0
    if job.warm_up:
        await asyncio.sleep(job.warm_up)
        warmed_up = sum(len(connection.latencies) for connection in connections)
        for connection in connections:
            del connection.latencies[:]
        meter = Meter(job.pid)
    await asyncio.gather(*(connection.done for connection in connections))
    return meter.window(connections, warmed_up)


async def _connect(job: Job, request: str, again: Callable[[], bool]) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(request.encode(), job.every, again), "127.0.0.1", job.port
    )
    return connection


def main() -> None:
    job = Job(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        window = runner.run(run(job))
    json.dump(asdict(window), sys.stdout)


if __name__ == "__main__":
    main()

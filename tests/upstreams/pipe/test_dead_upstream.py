"""A dead upstream, at a real socket, is asked once a second at most while everybody wants it."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import msgspec
import pytest

from tests.upstreams.transport.wire import Peer, serving
from upstreams.failure import UpstreamFailure
from upstreams.pipe import Address, Breaker, Pipe, Policy
from upstreams.transport import LeanTransport

ANYTHING = msgspec.json.Decoder()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Upstream:
    """Answers each request as it is told, and notes at which simulated second."""

    def __init__(self, clock: Callable[[], float], answer: bytes) -> None:
        self.answer = answer
        self.asked_at: list[float] = []
        self._clock = clock

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        self.asked_at.append(self._clock())
        await peer.send(self.answer)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("upstreams.pipe.pipe.Breaker", partial(Breaker, clock=clock))
    return clock


async def reason_of(asked):
    try:
        await asked
    except UpstreamFailure as failed:
        return failed.reason
    return None


async def outage(clock, answer):
    """Ask 60 times a second for ten seconds; return when the upstream heard of it, and what then helps."""
    upstream = Upstream(clock, answer)
    async with serving(upstream) as server, LeanTransport() as transport:
        pipe, at = Pipe("up", Policy(), transport), Address.parse(server.url)
        for _ in range(200):
            await asyncio.gather(*(reason_of(pipe.get(at, "/", into=ANYTHING)) for _ in range(3)))
            clock.now += 0.05
        heard, upstream.answer = list(upstream.asked_at), OK
        clock.now += 1.5
        return heard, [await reason_of(pipe.get(at, "/", into=ANYTHING)) for _ in range(3)]


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"],
    ids=["closes the connection", "500", "502"],
)
def test_a_dead_upstream_is_asked_once_a_second_at_most(answer, clock):
    # Real sockets need a loop whose time is real.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        heard, after = runner.run(outage(clock, answer))
    opened = [at for at in heard if at < 101]
    probes = [at for at in heard if at >= 101]
    assert len(opened) <= 6 * 2  # five in a row or six at once, each tried twice
    assert 5 <= len(probes) <= 9
    assert all(second - first >= 0.999 for first, second in pairwise(probes))
    assert after == [None, None, None]

"""A TCP proxy with the faults of a wire: what may lie between the gateway and whatever it asks."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal

Fault = Literal["latency", "jitter", "bandwidth", "slices", "hang", "half_open", "truncation", "reset", "refuse"]

_RESETTING: Final = frozenset({"reset", "refuse"})
_PIECE: Final = 65536
_PIECES_UNDER_WAY: Final = 64
_TICKS_A_SECOND: Final = 20


class Proxy:
    """Forwards connections to ``target`` (a port of 127.0.0.1) unless it has a fault.

    The same ``seed`` makes the same jitter of the same pieces.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self.port = 0
        self.spell = _Spell(random.Random(seed))
        self._target = target
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def misbehave(
        self,
        fault: Fault | None,
        *,
        seconds: float = 0.2,
        rate: int = 100,
        size: int = 1,
        after: int = 20,
    ) -> None:
        """Have this fault from now on, on open connections too; None: none.

        - ``latency``: all that is said, there and back, arrives ``seconds`` later; ``jitter``: up to so many later
        - ``bandwidth``: ``rate`` bytes a second go each way on each connection
        - ``slices``: every ``size`` bytes go by themselves
        - ``hang``: nothing arrives until the fault is over, then everything does
        - ``half_open``: the other side vanishes. What is said to it on a connection of that time is lost, for good
        - ``truncation``: of what the other side says from now on ``after`` bytes arrive, then it hangs up
        - ``reset``: open connections are reset, new ones as soon as they are made
        - ``refuse``: open connections are reset, new ones refused
        """
        over, self.spell = self.spell, _Spell(self.spell.dice, fault, seconds, rate, size, after)
        if fault in _RESETTING:
            self._reset_all()
        if fault == "half_open":
            for link in self._links:
                link.is_lost = True
        over.end()
        if fault == "refuse":
            self._stop_listening()
        else:
            await self._listen()

    async def close(self) -> None:
        """Reset every connection and give up the port."""
        self._stop_listening()
        if self._kept is not None:
            self._kept.close()
        self._reset_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None:
            self._kept = self._kept or _bound(0)
            self.port = self._kept.getsockname()[1]
            self._server = await asyncio.start_server(self._accept, sock=self._kept, backlog=1024)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._kept = _bound(self.port)  # nobody else's meanwhile

    def _reset_all(self) -> None:
        for link in tuple(self._links):
            link.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made_in = self.spell
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        link = _Link(self, (reader, writer), there)
        link.is_lost = "half_open" in {made_in.fault, self.spell.fault}
        if self.spell.fault in _RESETTING:
            link.reset()
            return
        self._links.add(link)
        try:
            await link.carry()
        finally:
            link.reset()
            self._links.discard(link)


@dataclass(eq=False)
class _Spell:
    """A fault for as long as it lasts."""

    dice: random.Random
    fault: Fault | None = None
    seconds: float = 0.0
    rate: int = 0
    size: int = 0
    after: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        self._over.set()

    async def lasts(self, seconds: float | None = None) -> None:
        """Return when it is over, after so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def delay(self) -> float:
        """Return how many seconds later than it could what is said now arrives."""
        if self.fault == "jitter":
            return self.dice.uniform(0, self.seconds)
        return self.seconds if self.fault == "latency" else 0.0

    def most(self) -> int:
        """Return how many bytes go at once."""
        if self.fault == "bandwidth":
            return max(1, self.rate // _TICKS_A_SECOND)
        return self.size if self.fault == "slices" else _PIECE

    async def pace(self, count: int) -> None:
        """Return when more may follow ``count`` bytes that have just gone."""
        if self.fault == "bandwidth":
            await self.lasts(count / self.rate)
        elif self.fault == "slices":
            for _ in range(2):  # whoever reads in the same event loop gets to see them alone
                await asyncio.sleep(0)


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Line = asyncio.Queue[tuple[_Spell, float, bytes]]


class _Link:
    """A connection from here to there. ``is_lost``: nothing that is said on it arrives any more."""

    def __init__(self, proxy: Proxy, here: _Ends, there: _Ends) -> None:
        self.is_lost = False
        self._proxy = proxy
        self._here = here
        self._there = there
        self._counted: tuple[_Spell, int] = (proxy.spell, 0)

    def reset(self) -> None:
        for _, writer in (self._here, self._there):
            _reset(writer)

    async def carry(self) -> None:
        """Carry what is said both ways; return when both have ended."""
        (asker, answers), (answerer, questions) = self._here, self._there
        there, back = _Line(_PIECES_UNDER_WAY), _Line(_PIECES_UNDER_WAY)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._read(asker, there))
                ways.create_task(self._write(there, questions, is_answer=False))
                ways.create_task(self._read(answerer, back))
                ways.create_task(self._write(back, answers, is_answer=True))
        except* OSError:
            self.reset()

    async def _read(self, source: asyncio.StreamReader, line: _Line) -> None:
        has_ended = False
        while not has_ended:
            data = await source.read(_PIECE)
            spell = self._proxy.spell
            await line.put((spell, time.monotonic() + spell.delay(), data))
            has_ended = not data

    async def _write(self, line: _Line, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        has_ended = False
        while not has_ended:
            spell, due, data = await line.get()
            if (early := due - time.monotonic()) > 0:
                await spell.lasts(early)
            has_ended = not data
            await self._unhung()
            while data and not self.is_lost:
                data = await self._send(data, sink, is_answer=is_answer)
                await self._unhung()
        if not (self.is_lost and is_answer):  # who has vanished does not hang up
            sink.close()

    async def _unhung(self) -> None:
        while self._proxy.spell.fault == "hang":
            await self._proxy.spell.lasts()

    async def _send(self, data: bytes, sink: asyncio.StreamWriter, *, is_answer: bool) -> bytes:
        """Pass on as much as goes at once; return the rest."""
        spell = self._proxy.spell
        is_cut = is_answer and spell.fault == "truncation"
        piece = data[: self._left(spell) if is_cut else spell.most()]
        sink.write(piece)
        await sink.drain()
        if is_cut:
            self._counted = (spell, self._counted[1] + len(piece))
            if not self._left(spell):
                self.is_lost = True
                sink.close()
        await spell.pace(len(piece))
        return data[len(piece) :]

    def _left(self, spell: _Spell) -> int:
        """Return how much more may be said before the answer is cut."""
        if self._counted[0] is not spell:
            self._counted = (spell, 0)
        return spell.after - self._counted[1]


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    """Return a socket that has the port and does not listen: whoever connects is refused."""
    # asyncio lets small pieces go at once only where it is told that this is TCP.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", port))
    return bound


@asynccontextmanager
async def proxy(target: int, seed: int = 0) -> AsyncIterator[Proxy]:
    """Run a proxy before the port ``target`` of 127.0.0.1, without a fault at first."""
    made = Proxy(target, seed)
    await made.misbehave(None)
    try:
        yield made
    finally:
        await made.close()

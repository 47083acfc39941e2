"""A TCP proxy that can hang, dawdle, refuse or reset: what may stand between the gateway and its database."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

Fault = Literal["hang", "slow", "refuse", "reset"]

SLOW_SECONDS = 0.2  # for each piece, there and back: a statement takes longer than the rig waits for one


class Proxy:
    """Forwards connections to ``target`` (a port of 127.0.0.1) unless it has a fault."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._fault: Fault | None = None
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def misbehave(self, fault: Fault | None) -> None:
        """Have this fault from now on, on open connections too; None: none."""
        self._fault = fault
        if fault == "hang":
            self._flowing.clear()
        else:
            self._flowing.set()
        if fault in {"refuse", "reset"}:
            self._reset_all()
        if fault == "refuse":
            self._stop_listening()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._fault == "reset":
            _reset(writer)
            return
        await self._flowing.wait()
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            return
        self._writers.add(requests)
        for source, sink in ((reader, requests), (answers, writer)):
            task = asyncio.create_task(self._forward(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                if self._fault == "slow":
                    await asyncio.sleep(SLOW_SECONDS)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # the other side is gone, so is this one
        finally:
            sink.close()

    async def close(self) -> None:
        self._stop_listening()
        self._flowing.set()
        self._reset_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    made = Proxy(target)
    await made.misbehave(None)
    try:
        yield made
    finally:
        await made.close()

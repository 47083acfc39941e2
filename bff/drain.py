"""From the signal to the exit, in less than ten seconds: who is told to leave, when, and how."""

import asyncio
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

import uvicorn

from bff.clock import monotonic
from bff.edge.connections import Connections
from bff.ops import Health

# All of them after the signal, but the last.
NOTICE_SECONDS: Final = 1.0  # not ready, but still listening: balancers have time to see it
LAST_WORD_SECONDS: Final = 7.0  # what is still in progress is told that it will not be finished
ABORT_SECONDS: Final = 7.5  # connections whose clients have not taken that are cut
KILL_SECONDS: Final = 9.5  # whatever hangs by now, be it the interpreter, the kernel ends it
_QUEUE_SECONDS: Final = 0.5  # how long listening goes on for those who come faster than they are let in


class Drain:
    """Ends a server that has been told to: nobody who asked something is left without an answer."""

    def __init__(self, health: Health, connections: Connections) -> None:
        self._health = health
        self._connections = connections
        self._hurry = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within, SIGTERM and SIGINT drain the server that handled them until now."""
        loop = asyncio.get_running_loop()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        server = getattr(handlers[signal.SIGTERM], "__self__", None)
        assert isinstance(server, uvicorn.Server)

        def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self._health.draining = True
            loop.call_soon_threadsafe(self._signalled, server, number)

        for number in handlers:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if self._draining is not None:
                self._draining.cancel()

    def _signalled(self, server: uvicorn.Server, number: int) -> None:
        if self._draining is None:
            notice = NOTICE_SECONDS if number == signal.SIGTERM else 0.0
            self._draining = asyncio.create_task(self._drain(server, number, notice))
        else:
            self._hurry.set()
            server.handle_exit(number, None)

    async def _drain(self, server: uvicorn.Server, number: int, notice: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, KILL_SECONDS)
        begun = monotonic()
        self._connections.drain()
        with suppress(TimeoutError):  # a second signal does not wait
            await asyncio.wait_for(self._hurry.wait(), notice)
        await _stop_listening(server)
        server.handle_exit(number, None)  # ends idle connections, then exits as soon as the others have ended
        await asyncio.sleep(begun + LAST_WORD_SECONDS - monotonic())
        for request in list(server.server_state.tasks):
            request.cancel()
        await asyncio.sleep(begun + ABORT_SECONDS - monotonic())
        self._connections.abort()


async def _stop_listening(server: uvicorn.Server) -> None:
    """Close the port once whoever was waiting there has been let in: they would be reset."""
    servers = server.servers if server.started else []
    queues = select.poll()
    for queue in [each for listening in servers for each in listening.sockets]:
        queues.register(queue.fileno(), select.POLLIN)
    give_up = monotonic() + _QUEUE_SECONDS
    while queues.poll(0) and monotonic() < give_up:  # noqa: ASYNC110 - the kernel's queue tells no event
        await asyncio.sleep(0)  # the loop lets in everyone who waits at this moment
    for listening in servers:
        listening.close()

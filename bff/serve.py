"""Running the gateway: its two ports, and what serves them."""

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import uvicorn

from bff import log
from bff.app import Gateway
from bff.descriptors import room_for
from bff.drain import Drain
from bff.edge.connections import Connections
from bff.edge.protocol import BoundedProtocol, Served
from bff.edge.proxies import BehindProxies
from bff.settings import Settings
from bff.workers import Workers

_PATIENCE_SECONDS = 8  # for what is left after everything was told to end and cut
_OPS_PATIENCE_SECONDS = 1
_OPS_CONNECTIONS = 100
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
        Workers(config, [public], ready).run()


def _worker(settings: Settings, ops: socket.socket) -> Served:
    log.configure(settings.log.level)
    gateway = Gateway(settings, beside=lambda gateway: _run_ops(ops, gateway, connections))
    connections = Connections(room_for(settings.server.max_connections), gateway.metrics)
    gateway.metrics.connections.set_function(lambda: len(connections))
    proxies = settings.server.trusted_proxies
    edge = BehindProxies(gateway.public, proxies) if proxies else gateway.public
    return Served(edge, connections, edge.at_once)


@asynccontextmanager
async def _run_ops(ops: socket.socket, gateway: Gateway, public: Connections) -> AsyncIterator[None]:
    """Serve the operations' port beside the public one, which is drained when the process is told to end."""
    _settle_memory()
    served = Served(gateway.ops, Connections(_OPS_CONNECTIONS, gateway.metrics))
    server = _Quiet(_config(served, patience=_OPS_PATIENCE_SECONDS, lifespan="off"))
    running = asyncio.create_task(server.serve([ops]))
    try:
        with Drain(gateway.health, public).on_signals():
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


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


class _Quiet(uvicorn.Server):
    """A server beside another one, which has the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Any, *, patience: int = _PATIENCE_SECONDS, **options: Any) -> uvicorn.Config:
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
        timeout_graceful_shutdown=patience,
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

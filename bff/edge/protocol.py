"""HTTP/1.1 by uvicorn and httptools, with what they do not have: bounds for a head, and a short way out.

Measured, a task, its two messages and their two system calls cost more than everything a kept answer takes; so
what can be answered without waiting is written at once, as one piece.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import structlog
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bff.edge.exchange import Answer

_log: Final = structlog.get_logger("bff.protocol")

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0

_TOO_LARGE: Final = b'{"error":"Request header fields too large"}'
_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"cache-control: private, no-store\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_TOO_LARGE), _TOO_LARGE)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose head is larger than ``MAX_HEAD_BYTES``; drops one that takes ``HEAD_SECONDS``.

    An application with a method ``at_once`` is asked by it first: an answer is written as it is, None means
    that the application is to be called.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._at_once: Callable[[Scope], Answer | None] | None = getattr(self.app, "at_once", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        if self._head_timer is None:
            self._start_timer()
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        answer = self._try_at_once(cycle)
        if answer is None:
            super()._start_asgi_task(cycle, app)
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(_message(self.server_state.default_headers, answer))
        cycle.on_response()

    def _try_at_once(self, cycle: RequestResponseCycle) -> Answer | None:
        # Pipelined requests take the usual way: answering them here would nest as deep as there are many.
        if self._at_once is None or self.pipeline or not cycle.keep_alive or self.flow.write_paused:
            return None
        try:
            return self._at_once(cast("Scope", cycle.scope))
        except Exception:  # noqa: BLE001 - the usual way answers it, with the documented error
            _log.exception("short way failed")
            return None

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _message(default_headers: list[tuple[bytes, bytes]], answer: Answer) -> bytes:
    parts = [STATUS_LINE[answer.status]]
    parts += [b"%b: %b\r\n" % header for header in (*default_headers, *answer.all_headers())]
    return b"".join([*parts, b"\r\n", answer.body])

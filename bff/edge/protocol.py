"""HTTP/1.1 by uvicorn and httptools, with what they do not have: bounds, a short way out, and a polite end.

Measured, a task, its two messages and their two system calls cost more than everything a kept answer takes; so
what can be answered without waiting is written at once, as one piece.
"""

import asyncio
import fcntl
import termios
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bff.edge.connections import Connections
from bff.edge.errors import error_answer, unavailable
from bff.edge.exchange import Answer, Exchange
from bff.edge.headers import Headers, lines
from bff.edge.interrupted import identified, to_the_end
from bff.edge.short_way import Request

_log: Final = structlog.get_logger("bff.protocol")

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_PIPELINED: Final = 128  # requests that wait for the response to an earlier one

# For so long a client that has just connected may begin to ask, when nobody else is let in any more.
_FIRST_REQUEST_SECONDS: Final = 1.0

_TOO_LARGE: Final = error_answer(431, "Request header fields too large")
_BAD_REQUEST: Final = error_answer(400, "Bad request")
_NO_ROOM: Final = unavailable()
_CLOSE: Final = (b"connection", b"close")
_CLOSE_LINE: Final = lines([_CLOSE])


@dataclass(frozen=True, slots=True)
class Served:
    """What the protocol serves: an application, and the connections to it.

    ``at_once`` is asked before the application: a response is written as it is, None means that the application
    is to be called.
    """

    app: ASGIApp
    connections: Connections
    at_once: Callable[[Request], bytes | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class _Answered:
    """What stands for the cycle of a request that has been answered."""

    response_started = True
    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


class _Trailers(list[tuple[bytes, bytes]]):
    """Where the fields go that follow a body in chunks, which nobody reads (RFC 9112, 7.1.2): nowhere."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        pass


_ANSWERED: Final[Any] = _Answered()
_TRAILERS: Final = _Trailers()


class BoundedProtocol(HttpToolsProtocol):
    """Serves a ``Served``. Refuses a request whose head, or what follows its body, is above ``MAX_HEAD_BYTES``."""

    __slots__ = (
        "_at_once",
        "_body_came",
        "_connections",
        "_head_bytes",
        "_head_follows",
        "_in_head",
        "_piece_bytes",
        "_running",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        served: Served = self.config.loaded_app
        self.app: Any = served.app
        self._connections = served.connections
        self._at_once = served.at_once
        self._in_head = True
        self._head_bytes = 0
        self._piece_bytes = 0
        self._head_follows = False
        self._body_came = False
        self._running: RequestResponseCycle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self._connections.admit(self):
            super().connection_made(transport)
        else:
            self._connections.turn_away(transport, _last_message(_NO_ROOM, self.server_state.default_headers))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        if self._running is not None and self._running is not self.cycle:
            # The server tells only the newest request that its client has left, not the one that others wait for.
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connections.writes.begin(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connections.writes.end(self)

    @property
    def is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def be_the_last(self) -> None:
        if self.is_busy:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """End as soon as nothing is being asked; the server calls it when it lets nobody else in."""
        if self.is_busy:
            self.be_the_last()
        elif self._is_about_to_ask():
            self.loop.call_later(_FIRST_REQUEST_SECONDS, self.shutdown)
        else:
            self.transport.close()

    def _is_about_to_ask(self) -> bool:
        if self.transport.is_closing():
            return False
        heads = self._connections.heads
        return (self in heads and heads.seconds(self) < _FIRST_REQUEST_SECONDS) or _has_unread(self.transport)

    # What comes

    def data_received(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._head_follows = self._body_came = False
        super().data_received(data)
        if self._in_head and self not in self._connections.heads:
            self._connections.idle.end(self)
            self._connections.heads.begin(self)
        if not (self._head_follows or self._body_came):
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        self._connections.heads.end(self)
        if self._head_bytes + self._piece_bytes > MAX_HEAD_BYTES:
            self._weigh_head()
        if self._connections.draining and self.transport.is_closing():
            self.cycle = _ANSWERED  # it came behind one whose response was the last
        elif (response := self._try_at_once()) is None:
            self._go_the_usual_way()
        else:
            self._end_at_once(response)
        self._in_head = False
        self.headers = _TRAILERS

    def on_body(self, body: bytes) -> None:
        self._body_came = True
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_follows = True  # somewhere in the piece: how much of it is head is not known
        super().on_message_complete()

    def _weigh_head(self) -> None:
        self._head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("head too large")  # stops the parser, which has the 400 sent

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours has the documented shape
        self._refuse(_TOO_LARGE if self._head_bytes > MAX_HEAD_BYTES else _BAD_REQUEST)

    def _refuse(self, answer: Answer) -> None:
        if not self._is_owed_another():
            self.transport.write(_last_message(answer, self.server_state.default_headers))
        self.transport.close()

    def _is_owed_another(self) -> bool:
        """Return whether what is written now would be taken for the response to another request."""
        return self.is_busy if self._in_head else bool(self.pipeline) or self.cycle.response_started

    # What is answered

    def _go_the_usual_way(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once")  # as above
        super().on_headers_complete()
        self._connections.idle.end(self)
        if self._connections.draining:
            self.be_the_last()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, partial(to_the_end, cycle, app))

    def _end_at_once(self, response: bytes) -> None:
        self.cycle = _ANSWERED
        self.transport.write(response)
        if self._connections.draining:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self not in self._connections.heads:
            self._be_idle()

    def _be_idle(self) -> None:
        self._connections.idle.begin(self)
        # An idle connection keeps nothing of what was asked on it.
        self.cycle = _ANSWERED
        self._running = None
        self.scope = None  # type: ignore[assignment]

    def _try_at_once(self) -> bytes | None:
        if self._at_once is None or self.is_busy or self.flow.write_paused or not self._is_plain():
            return None
        server_lines = lines(self.server_state.default_headers)
        request = Request(
            self.url,
            self.headers,
            server_lines + _CLOSE_LINE if self._connections.draining else server_lines,
            client=self.client[0] if self.client else None,
        )
        try:
            return self._at_once(request)
        except Exception:  # noqa: BLE001 - the usual way answers it, with the documented error
            _log.exception("short way failed")
            return None

    def _is_plain(self) -> bool:
        parser = self.parser
        return (
            parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and self.scheme == "http"
        )


def _last_message(answer: Answer, server_headers: Headers) -> bytes:
    """Return the response to what is no request that could be read, after which the connection ends."""
    length = (b"content-length", b"%d" % len(answer.body))
    head = lines([*server_headers, _CLOSE, length, *identified(answer, Exchange.of([])).headers])
    return STATUS_LINE[answer.status] + head + b"\r\n" + answer.body


def _has_unread(transport: asyncio.Transport) -> bool:
    return any(fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4)))

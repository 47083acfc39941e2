"""HTTP/1.1 by uvicorn and httptools, with what they do not have: bounds for a head, and a short way out.

Measured, a task, its two messages and their two system calls cost more than everything a kept answer takes; so
what can be answered without waiting is written at once, as one piece.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bff.edge.errors import error_answer
from bff.edge.exchange import Answer, Exchange
from bff.edge.headers import SECURITY, Headers, lines
from bff.edge.short_way import Request

_log: Final = structlog.get_logger("bff.protocol")

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0

_TOO_LARGE: Final = error_answer(431, "Request header fields too large")
_BAD_REQUEST: Final = error_answer(400, "Bad request")


class _Answered:
    """What stands for the cycle of a request that was answered at once."""

    response_complete = True

    def __init__(self) -> None:
        self.message_event = asyncio.Event()


_ANSWERED: Final[Any] = _Answered()


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request whose head is larger than ``MAX_HEAD_BYTES``; drops one that takes ``HEAD_SECONDS``.

    An application with a method ``at_once`` is asked by it first: a response is written as it is, None means
    that the application is to be called.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._piece_bytes = 0
        self._head_follows = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._at_once: Callable[[Request], bytes | None] | None = getattr(self.app, "at_once", None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._piece_bytes = len(data)
        self._head_follows = False
        super().data_received(data)
        if not self._in_head:
            self._keep_alive()
            return
        if self._head_timer is None:
            self._start_timer()
        if not self._head_follows:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse_head(_TOO_LARGE)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours has the documented shape
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_head(_TOO_LARGE)
        elif self._in_head:
            self._refuse_head(_BAD_REQUEST)
        else:
            self._end_with(_BAD_REQUEST)

    def _refuse_head(self, answer: Answer) -> None:
        if self._is_busy():  # the refusal would be taken for the response to an earlier request
            self.transport.close()
        else:
            self._end_with(answer)

    def _end_with(self, answer: Answer) -> None:
        self.transport.write(_last_message(answer, self.server_state.default_headers))
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        self._head_follows = True  # somewhere in the piece: how much of it is head is not known
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        if self._head_bytes + self._piece_bytes > MAX_HEAD_BYTES:
            self._weigh_head()
        response = self._try_at_once()
        if response is None:
            super().on_headers_complete()
            return
        self.cycle = _ANSWERED
        self.transport.write(response)
        self.on_response_complete()

    def _weigh_head(self) -> None:
        self._head_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError("head too large")  # stops the parser, which has the 400 sent

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _try_at_once(self) -> bytes | None:
        if self._at_once is None or self._is_busy() or self.flow.write_paused or not self._is_plain():
            return None
        request = Request(
            self.url,
            self.headers,
            lines(self.server_state.default_headers),
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

    def _keep_alive(self) -> None:
        """Have the connection end one day also when what came was neither a head nor answered."""
        if self.timeout_keep_alive_task is not None or self._is_busy() or self.transport.is_closing():
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _last_message(answer: Answer, server_headers: Headers) -> bytes:
    """Return the response to what is no request that could be read, after which the connection ends."""
    own = [(b"content-length", b"%d" % len(answer.body)), (b"x-request-id", Exchange.of([]).request_id)]
    head = lines([*server_headers, (b"connection", b"close"), *own, *answer.headers, *SECURITY])
    return STATUS_LINE[answer.status] + head + b"\r\n" + answer.body

"""One connection to an origin: one exchange at a time, parsed as it arrives."""

import asyncio
import select
from typing import Final, Protocol, cast

import httptools
import httpx

from upstreams._http.exchange import Exchange
from upstreams._http.request import Origin

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_FRAMING_BYTES: Final = 1024 * 1024  # all that is no body: tiny chunks cost far more than they carry
IDLE_SECONDS: Final = 4.0  # Node closes after 5: a request must not cross its closing

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_FINAL_STATUS: Final = 200
_KEEP_ALIVE_MARGIN: Final = 0.8


class Keeper(Protocol):
    """Who keeps the idle connections."""

    def idle(self, connection: "Connection") -> None: ...

    def lost(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """An open connection to ``origin``; ``expires`` is the loop's time from which it must not be used again."""

    transport: asyncio.Transport

    def __init__(self, origin: Origin, keeper: Keeper) -> None:
        self.origin = origin
        self.expires = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = keeper
        self._arrivals = select.poll()
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._head_only = False
        self._status = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._overhead = 0
        self._framing = 0
        self._lifetime = IDLE_SECONDS
        self._keep_alive = False

    def start(self, message: bytes, *, head_only: bool) -> Exchange:
        """Send a request on this idle connection; return its exchange. ``head_only``: the answer has no body.

        Raises httpx.ReadError when the connection was over before its first use.
        """
        if self.transport.is_closing():
            raise httpx.ReadError("the connection was closed before the request")
        exchange = Exchange(self.transport, self.closed.get_loop())
        self._exchange = exchange
        self._head_only = head_only
        self._status = 0
        self._fields = []
        self._overhead = 0
        self._framing = 0
        self._lifetime = IDLE_SECONDS
        self._keep_alive = False
        self.transport.write(message)
        return exchange

    def is_usable(self) -> bool:
        """Return whether a request may be sent on this idle connection.

        Not when anything has arrived that the loop has yet to read: what was sent before the request is no
        answer to it, and the end of the connection would cost a request that must not be repeated.
        """
        if self.transport.is_closing() or self.expires <= self.closed.get_loop().time():
            return False
        return not self._arrivals.poll(0)

    def close(self) -> None:
        """Close at once; who still waits for an answer gets httpx.ReadError."""
        self._fail(httpx.ReadError("the transport was closed"))

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # by its methods; uvloop's have another base
        self._arrivals.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.transport.abort()  # nobody asked for anything
            return
        self._overhead += len(data)
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(str(error.__context__ or error)))
            return
        if self._exchange is None:
            self._release()
        elif self._overhead > MAX_HEAD_BYTES:
            self._fail(httpx.RemoteProtocolError("the answer's head or trailer is too large"))
        elif self._framing > MAX_FRAMING_BYTES:
            self._fail(httpx.RemoteProtocolError("the answer's chunks are too small"))

    def eof_received(self) -> None:
        self.transport.abort()  # closing would first wait for the rest of the request to be taken

    def connection_lost(self, exc: Exception | None) -> None:
        if self._exchange is not None:
            self._exchange.finish(self._loss(exc))
            self._exchange = None
        self._keeper.lost(self)
        self.closed.set_result(None)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._exchange is None:
            raise httpx.RemoteProtocolError("more than the answer was sent")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))
        if len(name) == 10 and name.lower() == b"keep-alive":
            self._lifetime = _lifetime(value)

    def on_headers_complete(self) -> None:
        status = self._status = self._parser.get_status_code()
        headers, self._fields = self._fields, []
        if self._overhead > MAX_HEAD_BYTES and _size(headers) > MAX_HEAD_BYTES:
            raise httpx.RemoteProtocolError("the answer's head is too large")
        if status < _FIRST_FINAL_STATUS:
            if status < 100 or status == _SWITCHING_PROTOCOLS:
                raise httpx.RemoteProtocolError(f"unexpected status {status}")
            return
        self._headers = headers
        assert self._exchange is not None
        self._exchange.begin(status, headers)
        if self._head_only:
            self._finish_head_only()

    def on_body(self, body: bytes) -> None:
        if self._exchange is None or self._status < _FIRST_FINAL_STATUS:
            raise httpx.RemoteProtocolError("a body where none can be")
        self._overhead = 0
        self._framing -= len(body)
        self._exchange.feed(body)

    def on_message_complete(self) -> None:
        if self._exchange is None or self._status < _FIRST_FINAL_STATUS:
            return
        self._keep_alive = self._parser.should_keep_alive()
        self._exchange.finish()
        self._exchange = None

    # How it ends.

    def _finish_head_only(self) -> None:
        """Stop here, and the connection with it: the parser cannot be told that no body follows."""
        assert self._exchange is not None
        self._exchange.finish()
        self._exchange = None
        raise httpx.RemoteProtocolError("the answer has ended")

    def _release(self) -> None:
        """Offer the connection to the next request, unless a part of this one could still be under way."""
        sent = self.transport.get_write_buffer_size() == 0
        if self._keep_alive and sent and self._lifetime > 0 and not self.transport.is_closing():
            self.expires = self.closed.get_loop().time() + self._lifetime
            self._keeper.idle(self)
        else:
            self.transport.abort()

    def _fail(self, error: httpx.TransportError) -> None:
        if self._exchange is not None:
            self._exchange.finish(error)
            self._exchange = None
        self.transport.abort()

    def _loss(self, cause: Exception | None) -> httpx.ReadError | None:
        """Return what the loss means to the exchange: nothing when the end of the connection ends the body."""
        if self._status < _FIRST_FINAL_STATUS:
            error = httpx.ReadError("the connection was closed before the answer")
        elif cause is None and not _is_delimited(self._headers):
            return None
        else:
            error = httpx.ReadError("the connection was closed within the answer")
        error.__cause__ = cause
        return error


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)


def _is_delimited(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in headers)


def _lifetime(keep_alive: bytes) -> float:
    """Return the seconds an idle connection may be used after ``Keep-Alive: timeout=N``, with a margin."""
    for parameter in keep_alive.split(b","):
        name, _, value = parameter.strip().partition(b"=")
        if name.lower() == b"timeout" and value.isdigit() and len(value) < 10:
            return min(IDLE_SECONDS, int(value) * _KEEP_ALIVE_MARGIN)
    return IDLE_SECONDS

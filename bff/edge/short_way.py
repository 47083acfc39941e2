"""The short way: the whole response to a request that takes no waiting, as one piece of bytes.

Measured, the task, messages and system calls of the usual way cost more than everything a fresh kept answer to
a known caller takes. Whatever is the least unusual about a request sends it the usual way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bff.auth.credentials import MAX_COOKIE_BYTES
from bff.cache.answers import State
from bff.cache.store import Entry
from bff.clock import monotonic
from bff.edge.exchange import Answer, Exchange
from bff.edge.headers import HSTS, SECURITY, Headers, lines
from bff.edge.plan_endpoint import PlanEndpoint
from bff.edge.record import record
from bff.edge.shedding import SPARED, Shedding

_HSTS_LINE: Final = lines([HSTS])

# Headers that ask for more than a copy: another answer, none if unchanged, or leave to read it from elsewhere.
_UNUSUAL: Final = frozenset({b"cache-control", b"if-none-match", b"origin"})


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a GET request by plain http, and the header lines that the server adds to its response.

    ``client`` is the address it comes from; ``secure``: to a proxy that vouches for it, it came by https.
    """

    url: bytes
    fields: Headers
    server_lines: bytes
    client: str | None
    secure: bool = False


class ShortWay:
    def __init__(self, endpoints: Mapping[str, PlanEndpoint], vary: Headers, shedding: Shedding) -> None:
        self._endpoints = {path.encode(): endpoint for path, endpoint in endpoints.items()}
        self._vary = vary
        self._shedding = shedding

    def respond(self, request: Request) -> bytes | None:
        """Return the response, None when the request has to take the usual way."""
        path, _, query_string = request.url.partition(b"?")
        exchange = Exchange.of(request.fields)
        headers = exchange.headers
        if b"#" in query_string or len(headers.get(b"cookie", b"")) > MAX_COOKIE_BYTES:
            return None  # what follows a "#" is no part of the query
        endpoint = self._endpoints.get(path)
        may_have_copy = endpoint is not None
        if endpoint is not None and _UNUSUAL.isdisjoint(headers):
            entry = endpoint.recall(exchange, query_string)
            if entry is not None and monotonic() < entry.fresh_until:
                return self._hit(request, exchange, endpoint, entry)
            may_have_copy = entry is not None
        name = path.decode("latin-1")
        if self._shedding.reserve(name) or name in SPARED or b"origin" in headers:
            return None
        copy = self._shedding.copy(exchange, name, query_string) if may_have_copy else None
        return self._written(request, exchange, copy or self._shedding.refusal(name))

    def _hit(self, request: Request, exchange: Exchange, endpoint: PlanEndpoint, entry: Entry) -> bytes:
        auth_ms = exchange.elapsed_ms()
        body = endpoint.stamped(exchange, entry.body, cached=True)
        exchange.status = 200
        exchange.cache = State.HIT.value
        exchange.degraded = entry.degraded
        record(exchange, "GET")
        return b"HTTP/1.1 200 OK\r\n%b%bcontent-length: %d\r\n%b" % (
            request.server_lines + _HSTS_LINE if request.secure else request.server_lines,
            entry.head or self._head(endpoint, entry),
            len(body),
            _own_lines(exchange, entry, auth_ms) + body,
        )

    def _written(self, request: Request, exchange: Exchange, answer: Answer) -> bytes:
        """Return what the usual way would write."""
        exchange.status = answer.status
        if exchange.cache is not None:
            record(exchange, "GET")
        own = [(b"x-request-id", exchange.request_id)]
        if answer.status != 304:
            own.append((b"content-length", b"%d" % len(answer.body)))
        if request.secure:
            own.append(HSTS)
        head = lines([*answer.headers, *own, *self._vary, *SECURITY])
        return b"%b%b%b\r\n%b" % (STATUS_LINE[answer.status], request.server_lines, head, answer.body)

    def _head(self, endpoint: PlanEndpoint, entry: Entry) -> bytes:
        entry.head = lines([*endpoint.fixed_headers(entry, entry.degraded), *self._vary, *SECURITY])
        return entry.head


def _own_lines(exchange: Exchange, entry: Entry, auth_ms: float) -> bytes:
    """Return the header lines of this response alone, and the empty one after them."""
    return b"cache-status: bff; hit; ttl=%d\r\nserver-timing: auth;dur=%.1f, %b\r\nx-request-id: %b\r\n\r\n" % (
        entry.fresh_until - monotonic(),
        auth_ms,
        entry.timing.encode(),
        exchange.request_id,
    )

"""The short way: the whole response to a request that takes no waiting, as one piece of bytes.

Measured, the task, messages and system calls of the usual way cost more than everything a fresh kept answer to
a known caller takes. Whatever is the least unusual about a request sends it the usual way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bff.auth.credentials import MAX_COOKIE_BYTES
from bff.cache.store import Entry
from bff.clock import monotonic
from bff.edge.exchange import Exchange
from bff.edge.headers import HSTS, SECURITY, Headers, lines
from bff.edge.plan_endpoint import PlanEndpoint
from bff.edge.record import record

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
    def __init__(self, endpoints: Mapping[str, PlanEndpoint], vary: Headers) -> None:
        self._endpoints = {path.encode(): endpoint for path, endpoint in endpoints.items()}
        self._vary = vary

    def respond(self, request: Request) -> bytes | None:
        """Return the response, None when the request has to take the usual way."""
        path, _, query_string = request.url.partition(b"?")
        endpoint = self._endpoints.get(path)
        if endpoint is None or b"#" in query_string:  # what follows a "#" is no part of the query
            return None
        exchange = Exchange.of(request.fields)
        headers = exchange.headers
        if not _UNUSUAL.isdisjoint(headers) or len(headers.get(b"cookie", b"")) > MAX_COOKIE_BYTES:
            return None
        entry = endpoint.recall(exchange, query_string)
        if entry is None:
            return None
        auth_ms = exchange.elapsed_ms()
        body = endpoint.stamped(exchange, entry.body, cached=True)
        exchange.status = 200
        exchange.degraded = entry.degraded
        record(exchange, "GET")
        return b"HTTP/1.1 200 OK\r\n%b%bcontent-length: %d\r\n%b" % (
            request.server_lines + _HSTS_LINE if request.secure else request.server_lines,
            entry.head or self._head(endpoint, entry),
            len(body),
            _own_lines(exchange, entry, auth_ms) + body,
        )

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

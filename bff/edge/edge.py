"""The outermost layer: what holds for every request and every response, whatever answers it."""

import re
from collections.abc import Collection, Mapping
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.auth.credentials import MAX_COOKIE_BYTES, CredentialReader
from bff.auth.csrf import SAFE_METHODS, is_forged
from bff.edge.errors import UNEXPECTED, error_answer
from bff.edge.exchange import SCOPE_KEY, Exchange
from bff.edge.headers import HSTS, SECURITY, VARY
from bff.edge.plan_endpoint import PlanEndpoint
from bff.edge.record import record
from bff.edge.shedding import SPARED, Shedding
from bff.edge.short_way import Request, ShortWay
from upstreams import trace

_log: Final = structlog.get_logger("bff.edge")

_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Edge:
    """Gives each request its id, refuses what no operation should see, adds the common headers, logs one line.

    ``direct`` answer GET by their exact path: reached without the router, whose search costs more than a kept
    answer does. ``kept`` are those of them that keep answers. ``beyond`` is ``shedding`` with what ``app`` has
    around its operations; it answers what finds no room.
    """

    def __init__(
        self,
        app: ASGIApp,
        direct: Mapping[str, ASGIApp],
        kept: Mapping[str, PlanEndpoint],
        reader: CredentialReader,
        allowed_origins: Collection[str],
        *,
        shedding: Shedding,
        beyond: ASGIApp,
    ) -> None:
        self._app = app
        self._direct = direct
        self._reader = reader
        self._allowed_origins = frozenset(allowed_origins)
        self._vary = [VARY] if allowed_origins else []
        self._short_way = ShortWay(kept, self._vary, shedding)
        self._shedding = shedding
        self._beyond = beyond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[SCOPE_KEY] = Exchange.of(scope["headers"])
        place = self._shedding.enter(scope["path"])
        is_beyond = place is None and scope["path"] not in SPARED
        refusal = self._beyond if is_beyond else self._refusal(exchange, scope["method"])
        direct = None if is_beyond else self._direct_to(exchange, scope)
        common = [(b"x-request-id", exchange.request_id), *SECURITY]
        if scope["scheme"] == "https":
            common.append(HSTS)
        if direct:
            common += self._vary

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *common]
            await send(message)

        try:
            _take_trace(exchange)
            await (refusal or direct or self._app)(scope, receive, send_with_headers)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets the documented error
            _log.exception("unexpected", request_id=exchange.request_id.decode(), operation=exchange.operation)
            if not exchange.status:
                await UNEXPECTED(scope, receive, send_with_headers)
        finally:
            if place is not None:
                self._shedding.leave(place)
            if exchange.cache is not None or not is_beyond:
                record(exchange, scope["method"])

    def at_once(self, request: Request) -> bytes | None:
        """Return the whole response to a request that can be answered without waiting, else None."""
        return self._short_way.respond(request)

    def _direct_to(self, exchange: Exchange, scope: Scope) -> ASGIApp | None:
        if scope["method"] != "GET" or b"origin" in exchange.headers:
            return None
        return self._direct.get(scope["path"])

    def _refusal(self, exchange: Exchange, method: str) -> ASGIApp | None:
        headers = exchange.headers
        if len(headers.get(b"cookie", b"")) > MAX_COOKIE_BYTES:
            return error_answer(431, "Request header fields too large")
        if method in SAFE_METHODS or not self._reader.has_cookie(headers):
            return None
        if is_forged(headers, self._allowed_origins):
            return error_answer(403, "Forbidden")
        return None


def _take_trace(exchange: Exchange) -> None:
    parent = exchange.headers.get(b"traceparent")
    if parent is not None and _TRACEPARENT.fullmatch(parent):
        trace.traceparent.set(parent.decode())

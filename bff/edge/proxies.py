"""Behind proxies whose word on the caller's address and scheme is taken."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bff.edge.edge import Edge
from bff.edge.short_way import Request


class BehindProxies:
    """The edge behind uvicorn's middleware, with the short way left open."""

    def __init__(self, edge: Edge, trusted: Sequence[str]) -> None:
        self._edge = edge
        self._usual: Any = ProxyHeadersMiddleware(edge, list(trusted))  # type: ignore[arg-type]  # its own ASGI types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._usual(scope, receive, send)

    def at_once(self, request: Request) -> bytes | None:
        """Return the whole response to a request that can be answered without waiting, else None."""
        schemes = [value for name, value in request.fields if name == b"x-forwarded-proto"]
        if schemes and schemes[-1].strip() == b"https" and request.client in self._usual.trusted_hosts:
            request = replace(request, secure=True)
        return self._edge.at_once(request)

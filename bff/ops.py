"""Whether the process lives and whether it is ready, on both ports; what it is not ready for, on one."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bff.clients import Clients
from bff.clock import monotonic
from bff.edge.errors import RETRY_AFTER_SECONDS
from upstreams.failure import UpstreamFailure

_CHECK_KEPT_SECONDS = 1.0


class Health:
    """Ready means: not draining, and the user store answers. The store is asked once a second at most."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: UpstreamFailure | None = None
        self.draining = False

    def routes(self, *, detailed: bool) -> list[Route]:
        """Return ``/livez`` and ``/readyz``; only ``detailed`` ones tell why the process is not ready."""

        async def livez(_: Request) -> Response:
            return JSONResponse({"status": "live"}, headers={"cache-control": "no-store"})

        async def readyz(_: Request) -> Response:
            return self._readiness(await self._reason(), detailed=detailed)

        return [Route("/livez", livez), Route("/readyz", readyz)]

    async def _reason(self) -> str | None:
        if self.draining:
            return "draining"
        async with self._lock:
            if monotonic() - self._checked_at >= _CHECK_KEPT_SECONDS:
                await self._ask_store()
        return str(self._failure) if self._failure else None

    async def _ask_store(self) -> None:
        try:
            await self._clients.user_store.ping()
        except UpstreamFailure as failure:
            self._failure = failure
        else:
            self._failure = None
        self._checked_at = monotonic()

    def _readiness(self, reason: str | None, *, detailed: bool) -> Response:
        headers = {"cache-control": "no-store"}
        if reason is None:
            return JSONResponse({"status": "ready"}, headers=headers)
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        body = {"status": "not ready"} | ({"reason": reason} if detailed else {})
        return JSONResponse(body, 503, headers=headers)

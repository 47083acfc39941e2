"""Whether the process lives and whether it is ready, on both ports; why it is not, and its figures, on one."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bff.clients import Clients
from bff.clock import monotonic
from bff.edge.errors import RETRY_AFTER_SECONDS
from bff.metrics import MEDIA_TYPE, Metrics
from upstreams.failure import UpstreamFailure

_CHECK_KEPT_SECONDS = 1.0


class Health:
    """Ready means: not draining, and what ``needs`` names answers: ``user_store``, ``redis``, both or neither.

    The store is asked once a second at most.
    """

    def __init__(
        self, clients: Clients, metrics: Metrics, redis_is_up: Callable[[], bool], needs: Sequence[str]
    ) -> None:
        self._clients = clients
        self._metrics = metrics
        self._redis_is_up = redis_is_up
        self._needs = frozenset(needs)
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: UpstreamFailure | None = None
        self.draining = False

    def routes(self, *, detailed: bool) -> list[Route]:
        """Return ``/livez`` and ``/readyz``; only ``detailed`` ones tell why not, and have ``/metrics`` beside."""

        async def livez(_: Request) -> Response:
            return JSONResponse({"status": "live"}, headers={"cache-control": "no-store"})

        async def readyz(_: Request) -> Response:
            return self._readiness(await self._reasons(), detailed=detailed)

        async def metrics(_: Request) -> Response:
            return Response(
                self._metrics.render(), headers={"content-type": MEDIA_TYPE, "cache-control": "no-store"}
            )

        probes = [Route("/livez", livez), Route("/readyz", readyz)]
        return [*probes, Route("/metrics", metrics)] if detailed else probes

    async def _reasons(self) -> list[str]:
        if self.draining:
            return ["draining"]
        failure = await self._store_failure() if "user_store" in self._needs else None
        reasons = [] if failure is None else [str(failure)]
        if "redis" in self._needs and not self._redis_is_up():
            reasons.append("redis: down")
        return reasons

    async def _store_failure(self) -> UpstreamFailure | None:
        async with self._lock:
            if monotonic() - self._checked_at >= _CHECK_KEPT_SECONDS:
                await self._ask_store()
        return self._failure

    async def _ask_store(self) -> None:
        try:
            await self._clients.user_store.ping()
        except UpstreamFailure as failure:
            self._failure = failure
        else:
            self._failure = None
        self._checked_at = monotonic()

    def _readiness(self, reasons: Sequence[str], *, detailed: bool) -> Response:
        headers = {"cache-control": "no-store"}
        if not reasons:
            return JSONResponse({"status": "ready"}, headers=headers)
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        body = {"status": "not ready"} | ({"reason": ", ".join(reasons)} if detailed else {})
        return JSONResponse(body, 503, headers=headers)

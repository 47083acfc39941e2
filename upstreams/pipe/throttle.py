"""Throttle: a host that asks to be left alone (``Retry-After``, RFC 9110, 10.2.3) is left alone by everyone."""

import asyncio
from typing import Any, Final

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import Call, Reply, Send

_TOO_MANY_REQUESTS = 429
_ASKING: Final = frozenset({_TOO_MANY_REQUESTS, 503})
_MAX_PAUSE_SECONDS = 60.0


class Throttle:
    """After a 429 or 503 with ``Retry-After`` calls fail at once for so long, 60 s at most, as rate limited."""

    def __init__(self, upstream: str, send: Send) -> None:
        self._upstream = upstream
        self._send = send
        self._until = 0.0

    async def __call__(self, call: Call) -> Any:
        until = self._until
        if until and (left := until - asyncio.get_running_loop().time()) > 0:
            raise UpstreamFailure(self._upstream, Reason.RATE_LIMITED, status=_TOO_MANY_REQUESTS, retry_after=left)
        try:
            result = await self._send(call)
        except UpstreamFailure as failure:
            self._heed(until, failure.status, failure.retry_after)
            raise
        if isinstance(result, Reply):
            self._heed(until, result.status, result.retry_after)
        return result

    def _heed(self, before: float, status: int | None, seconds: float | None) -> None:
        # Answers to what was sent before a pause do not prolong it: the host is asked again after each.
        if status in _ASKING and seconds and self._until == before:
            self._until = asyncio.get_running_loop().time() + min(seconds, _MAX_PAUSE_SECONDS)

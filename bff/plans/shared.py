"""Sources whose answer many callers share: asked once, kept for as long as the source says."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from cachetools import TLRUCache

from bff.cache.keys import source_key
from bff.cache.single_flight import SingleFlight
from bff.clients import Clients
from bff.clock import monotonic
from bff.plans.operation import Ask, Subject
from bff.plans.plan import Shared, Source
from upstreams.failure import Reason, UpstreamFailure

DEGRADED_FRESH_SECONDS = 2.0
_MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class _Told:
    value: Any
    failure: UpstreamFailure | None
    asked_at: float
    until: float


class Sources:
    """Asks sources; what a shared one said, a failure too, is told to everyone who shares it."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._flights: SingleFlight[_Told] = SingleFlight()
        self._kept: TLRUCache[Hashable, _Told] = TLRUCache(
            maxsize=_MAX_KEPT, ttu=lambda _key, told, _now: told.until, timer=monotonic
        )

    async def subject(self, subject: Subject, ask: Ask[Any], expires: float) -> Any:
        """Return what is asked about by ``expires`` (the event loop's time, seconds), if it is the caller's.

        Raises Refused when it is not, UpstreamFailure when nobody can tell.
        """
        try:
            async with asyncio.timeout_at(expires):
                return await subject.of(self._clients, ask)
        except TimeoutError as error:
            raise UpstreamFailure(subject.upstream, Reason.TIMEOUT) from error

    async def fetch(self, source: Source[Any], ask: Ask[Any], *, since: float, anew: bool) -> Any:
        """Return what the source says, asked not before ``since`` (seconds of the monotonic clock).

        ``anew``: not what it said before. Raises UpstreamFailure.
        """
        if source.shared is None:
            return await source.fetch(self._clients, ask)
        key = source_key(source.upstream, source.shared.by(self._clients, ask))
        shared = source.shared
        told = None if anew else self._kept.get(key)
        while told is None or told.asked_at < since:
            flight, _ = self._flights.join(key, lambda: self._ask(key, source, shared, ask))
            told = await asyncio.shield(flight)
        if told.failure is not None:
            # Raised again and again, one failure would collect the traceback of everyone it was told to.
            raise told.failure.with_traceback(None)
        return told.value

    async def _ask(self, key: Hashable, source: Source[Any], shared: Shared, ask: Ask[Any]) -> _Told:
        asked_at = monotonic()
        try:
            value = await source.fetch(self._clients, ask)
        except UpstreamFailure as failure:
            told = _Told(None, failure, asked_at, monotonic() + min(shared.fresh, DEGRADED_FRESH_SECONDS))
        else:
            told = _Told(value, None, asked_at, monotonic() + shared.fresh)
        self._kept[key] = told
        return told

    async def close(self) -> None:
        await self._flights.close()

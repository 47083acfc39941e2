"""Idempotency keys: a repeat of a request gets the first answer (draft-ietf-httpapi-idempotency-key-header)."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from cachetools import LRUCache, TTLCache

from bff.cache.keys import idempotency_key
from bff.cache.single_flight import SingleFlight
from bff.claims import Claim, Claims, KeyReused, StillUnderWay
from bff.clock import monotonic
from bff.sharing import Sharing

T = TypeVar("T")

_DAY: Final = 86400
_VALID: Final = re.compile(rb"[ -~]{1,255}")


def valid_key(text: bytes) -> bool:
    """Return whether it can be a key: 1 to 255 printable ASCII characters."""
    return _VALID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: bytes
    answer: Any


class _Request(NamedTuple):
    """``owner`` stands for its scope, ``name`` for its key within that."""

    owner: bytes
    name: bytes
    fingerprint: bytes


class Idempotency:
    """The answers of this process to requests with a key, each for ``ttl`` seconds; with ``sharing``, of all.

    In memory the last ``max_entries`` of each scope: many keys of one user push out no others. With ``sharing``
    one replica works for a key at a time; after ``longest`` seconds without an answer the others believe it dead.
    While Redis cannot decide, memory does; what comes of it is told to Redis when that is back soon.
    """

    def __init__(
        self,
        sharing: Sharing | None = None,
        *,
        longest: float = 60,
        ttl: float = _DAY,
        max_entries: int = 100,
        max_scopes: int = 5_000,
    ) -> None:
        self._claims = None if sharing is None else Claims(sharing, longest, ttl)
        self._ttl = ttl
        self._max_entries = max_entries
        self._kept: LRUCache[bytes, TTLCache[bytes, _Kept]] = LRUCache(max_scopes)
        self._flights: SingleFlight[Any] = SingleFlight()
        self._asked: dict[bytes, bytes] = {}

    async def run(
        self,
        scope: tuple[str, ...],
        key: str,
        fingerprint: bytes,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        keep: Callable[[T], bool],
        into: type[T],
    ) -> tuple[T, bool]:
        """Return the answer to the first request with this key in this scope, and whether that was another one.

        Requests at the same time wait for one piece of work, which none of them takes along when it leaves. An
        answer that ``keep`` refuses and an exception reach those who wait in this process, and are then forgotten.
        Answers are of the type ``into``, which msgspec can write and read. Raises KeyReused when the first request
        had another ``fingerprint``, StillUnderWay when another replica's answer was waited for in vain, and what
        ``work`` raises.
        """
        request = _Request(idempotency_key(scope, ""), idempotency_key(scope, key), fingerprint)
        kept = self._known(request)
        if kept is not None:
            return kept.answer, True
        flight, leads = self._flights.join(
            (request.name, fingerprint), lambda: self._first(request, work, keep, into)
        )
        answer, replayed = await asyncio.shield(flight)
        return answer, replayed or not leads

    def _known(self, request: _Request) -> _Kept | None:
        """Return the answer that is in memory, if any. Raises KeyReused."""
        mine = self._kept.get(request.owner)
        kept = None if mine is None else mine.get(request.name)
        first = self._asked.get(request.name) if kept is None else kept.fingerprint
        if first not in {None, request.fingerprint}:
            raise KeyReused
        return kept

    async def _first(
        self,
        request: _Request,
        work: Callable[[], Coroutine[Any, Any, T]],
        keep: Callable[[T], bool],
        into: type[T],
    ) -> tuple[T, bool]:
        if self._claims is None:
            return await self._here(request, work, keep), False
        claim = Claim.of(request.name, request.fingerprint)
        told = await self._claims.take(claim)
        if told is not None:
            return _read(told, into), True
        try:
            async with self._claims.working(claim):
                answer = await self._here(request, work, keep)
        except Exception:
            # Work that was cancelled may have been done all the same: its claim stays until it lapses.
            await self._claims.settle(claim, None)
            raise
        await self._claims.settle(claim, msgspec.msgpack.encode(answer) if keep(answer) else None)
        return answer, False

    async def _here(
        self, request: _Request, work: Callable[[], Coroutine[Any, Any, T]], keep: Callable[[T], bool]
    ) -> T:
        self._known(request)  # while Redis was asked, the key may have come with another request
        self._asked[request.name] = request.fingerprint
        try:
            answer = await work()
        finally:
            del self._asked[request.name]
        if keep(answer):
            if request.owner not in self._kept:
                self._kept[request.owner] = TTLCache(self._max_entries, self._ttl, timer=monotonic)
            self._kept[request.owner][request.name] = _Kept(request.fingerprint, answer)
        return answer

    async def close(self) -> None:
        """Cancel the work in hand and wait until it has ended."""
        await self._flights.close()
        if self._claims is not None:
            await self._claims.close()


def _read(told: bytes, into: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(told, type=into)
    except msgspec.DecodeError:
        # Another version of this program wrote it: done, but how it ended cannot be told.
        raise StillUnderWay from None

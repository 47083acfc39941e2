"""Idempotency keys: a repeat of a request gets the first answer (draft-ietf-httpapi-idempotency-key-header)."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from cachetools import LRUCache, TTLCache

from bff.cache.keys import idempotency_key
from bff.cache.single_flight import SingleFlight
from bff.clock import monotonic

T = TypeVar("T")

_DAY: Final = 86400
_VALID: Final = re.compile(rb"[ -~]{1,255}")


class KeyReused(Exception):
    """The key came with another request before."""


def valid_key(text: bytes) -> bool:
    """Return whether it can be a key: 1 to 255 printable ASCII characters."""
    return _VALID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: bytes
    answer: Any


class Idempotency:
    """The answers of this process to requests with a key, each for ``ttl`` seconds.

    The last ``max_entries`` of each scope: many keys of one user push out nobody else's.
    """

    def __init__(self, ttl: float = _DAY, max_entries: int = 100, max_scopes: int = 5_000) -> None:
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
        keep: Callable[[T], bool],
    ) -> tuple[T, bool]:
        """Return the answer to the first request with this key in this scope, and whether that was another one.

        Requests at the same time wait for one piece of work, which none of them takes along when it leaves. An
        answer that ``keep`` refuses and an exception reach those who wait, and are then forgotten.
        Raises KeyReused when the first request had another ``fingerprint``, and what ``work`` raises.
        """
        owner, name = idempotency_key(scope, ""), idempotency_key(scope, key)
        mine = self._kept.get(owner)
        kept = None if mine is None else mine.get(name)
        first = self._asked.get(name) if kept is None else kept.fingerprint
        if first not in {None, fingerprint}:
            raise KeyReused
        if kept is not None:
            return kept.answer, True
        flight, leads = self._flights.join(name, lambda: self._first(owner, name, fingerprint, work, keep))
        if leads:
            self._asked[name] = fingerprint
            flight.add_done_callback(lambda _: self._asked.pop(name))
        return await asyncio.shield(flight), not leads

    async def _first(
        self,
        owner: bytes,
        name: bytes,
        fingerprint: bytes,
        work: Callable[[], Coroutine[Any, Any, T]],
        keep: Callable[[T], bool],
    ) -> T:
        answer = await work()
        if keep(answer):
            if owner not in self._kept:
                self._kept[owner] = TTLCache(self._max_entries, self._ttl, timer=monotonic)
            self._kept[owner][name] = _Kept(fingerprint, answer)
        return answer

    async def close(self) -> None:
        """Cancel the work in hand and wait until it has ended."""
        await self._flights.close()

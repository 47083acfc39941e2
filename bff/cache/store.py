"""Kept answers in this process, bounded by bytes."""

from collections.abc import Hashable
from dataclasses import dataclass

from cachetools import TLRUCache

from bff.clock import monotonic

_OVERHEAD_BYTES = 1024  # an entry's objects, key and headers, as measured with tracemalloc, rounded up


@dataclass(slots=True)
class Entry:
    """One finished answer. Times in seconds of the monotonic clock.

    ``asked_at`` is when the fan-out that made it began, ``degraded`` its value of BFF-Degraded, ``timing`` that
    of Server-Timing. ``head`` holds the lines of a response that are the same each time, once they were needed.
    """

    body: bytes
    etag: bytes | None
    degraded: str | None
    timing: str
    asked_at: float
    fresh_until: float
    stale_until: float
    error_until: float
    retry_at: float = 0.0
    head: bytes = b""

    @property
    def last_use(self) -> float:
        return max(self.fresh_until, self.stale_until, self.error_until)


class Store:
    """The least recently used go first when ``max_bytes`` is reached; nothing outlives its last use."""

    def __init__(self, max_bytes: int) -> None:
        self._entries: TLRUCache[Hashable, Entry] = TLRUCache(
            maxsize=max_bytes,
            ttu=lambda _key, entry, _now: entry.last_use,
            timer=monotonic,
            getsizeof=lambda entry: len(entry.body) + _OVERHEAD_BYTES,
        )

    def get(self, key: Hashable) -> Entry | None:
        return self._entries.get(key)

    def put(self, key: Hashable, entry: Entry) -> None:
        """Keep ``entry``, unless it alone is larger than everything that may be kept."""
        if self._entries.getsizeof(entry) <= self._entries.maxsize:
            self._entries[key] = entry

    def clear(self) -> None:
        """Keep nothing of what there is."""
        self._entries.clear()

    @property
    def bytes_held(self) -> int:
        return int(self._entries.currsize)

"""Rate limits: so many requests in any span of so many seconds, for each user or address.

A moving window: unlike a counter for each minute it never lets twice the limit through around a border, and unlike
a weighted counter it knows to the second when the next request is taken. The package ``limits`` is not used: its
asynchronous memory storage has no bound, and sweeps every key after every request in a task of its own.

With Redis the window is one for all replicas, by Redis's clock. Each process counts in memory too what was taken
there, so that it goes on from its own share, not from nothing, while Redis cannot decide.
"""

from collections import deque
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from cachetools import TTLCache

from bff.cache.keys import limit_key
from bff.clock import monotonic
from bff.redis import RedisDown, Script
from bff.sharing import Sharing

_MAX_WHO: Final = 10_000  # of each limit, so that a flood of addresses lifts no other limit
_MAX_HOST_LENGTH: Final = 64
_MICROSECONDS: Final = 1_000_000

# The times of what was taken, oldest first, in microseconds. What is a whole window away does not count, also when
# it lies in the future, where only another server's clock, or one set back, can have put it.
_TAKE: Final = Script(
    f"""
    local time = redis.call('TIME')
    local now = time[1] * {_MICROSECONDS} + time[2]
    local window = ARGV[2] * {_MICROSECONDS}
    local oldest = redis.call('LINDEX', KEYS[1], 0)
    while oldest and math.abs(now - oldest) >= window do
        redis.call('LPOP', KEYS[1])
        oldest = redis.call('LINDEX', KEYS[1], 0)
    end
    local taken = redis.call('LLEN', KEYS[1])
    if taken >= tonumber(ARGV[1]) then
        return {{0, taken, now - oldest}}
    end
    redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    return {{1, taken + 1, now - (oldest or now)}}
    """
)


@dataclass(frozen=True, slots=True)
class Limit:
    """``name`` is what clients are told it is called: letters, digits and underscores."""

    name: str
    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """``reset_seconds``: until the oldest request that counts no longer does, at least 1."""

    limit: Limit
    allowed: bool
    remaining: int
    reset_seconds: int

    @property
    def retry_after(self) -> int:
        """The seconds after which a refused request is taken."""
        return self.reset_seconds

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return what tells the client (draft-ietf-httpapi-ratelimit-headers-10)."""
        name = self.limit.name.encode()
        return [
            (b"ratelimit", b'"%b";r=%d;t=%d' % (name, self.remaining, self.reset_seconds)),
            (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name, self.limit.requests, self.limit.seconds)),
        ]


class RateLimits:
    """Counts with all replicas where there is ``sharing``, else in this process.

    In memory, when too many ask, who asked longest ago is forgotten, and so forgiven.
    """

    def __init__(self, sharing: Sharing | None = None, max_who: int = _MAX_WHO) -> None:
        self._sharing = sharing
        self._max_who = max_who
        self._taken: dict[Limit, TTLCache[str, deque[float]]] = {}

    async def take(self, limit: Limit, who: str) -> Verdict:
        """Count one request of ``who`` and say whether it is allowed. One that is refused does not count."""
        if self._sharing is None:
            return self._take_here(limit, who)
        try:
            verdict = await _take_together(self._sharing, limit, who)
        except RedisDown as down:
            self._sharing.fell_back(down)
            return self._take_here(limit, who)
        if verdict.allowed:
            self._take_here(limit, who)
        return verdict

    def _take_here(self, limit: Limit, who: str) -> Verdict:
        now = monotonic()
        taken = self._of(limit)
        times = taken.get(who) or deque()
        while times and now - times[0] >= limit.seconds:
            times.popleft()
        allowed = len(times) < limit.requests
        if allowed:
            times.append(now)
            taken[who] = times
        return Verdict(limit, allowed, limit.requests - len(times), limit.seconds - int(now - times[0]))

    def _of(self, limit: Limit) -> TTLCache[str, deque[float]]:
        if limit not in self._taken:
            self._taken[limit] = TTLCache(self._max_who, limit.seconds, timer=monotonic)
        return self._taken[limit]


async def _take_together(sharing: Sharing, limit: Limit, who: str) -> Verdict:
    key = limit_key(sharing.prefix, limit.name, who)
    reply = await sharing.run(_TAKE, key, limit.requests, limit.seconds)
    try:
        allowed, taken, age = map(int, reply)
    except (TypeError, ValueError):
        raise RedisDown("refused") from None  # whoever that is, it is not our Redis
    remaining = max(0, limit.requests - taken)  # below nothing where a replica still has a higher limit
    return Verdict(limit, bool(allowed), remaining, limit.seconds - max(0, age) // _MICROSECONDS)


def address_key(host: str) -> str:
    """Return what is counted for ``host``: an IPv4 address, an IPv6 address's /64 (one customer has all of it)."""
    host = host[:_MAX_HOST_LENGTH]
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))

"""Which replica does the work for an Idempotency-Key, and the answer that the others give: one value in Redis.

A claim is the fingerprint of a request and a token of whoever works for it. It lapses by itself, later than the
work can end. Until then no replica that has met it begins that work, whatever becomes of Redis meanwhile.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec
from cachetools import LRUCache

from bff.cache.keys import claim_key
from bff.redis import RedisDown, Script
from bff.sharing import Sharing

_PATIENCE_SECONDS: Final = 30.0  # contract.md: the deadline of provisioning
_POLL_SECONDS: Final = (0.05, 0.15)
_AGAIN_SECONDS: Final = (0.5, 1.5)
_LET_GO_MS: Final = 2_000  # longer than anyone who waits takes to look again
_MAX_MET: Final = 1_000
_MAX_BEHIND: Final = 1_000

# Says whose the key is now, so that nobody's silence is taken for a claim won, and for how long. A key is free
# when its claim lapsed or was let go, which leaves an empty value for a while. A claim that is missing too early
# has been forgotten by Redis: it is given back.
_CLAIM: Final = Script(
    """
    local held = redis.call('GET', KEYS[1])
    if held and held ~= '' then
        return {held, redis.call('PTTL', KEYS[1])}
    end
    local value, lasts = ARGV[1], ARGV[2]
    if not held and ARGV[3] ~= '' then
        value, lasts = ARGV[3], ARGV[4]
    end
    if value ~= '' then
        redis.call('SET', KEYS[1], value, 'PX', lasts)
    end
    return {value, tonumber(lasts)}
    """
)

# An answer also stands where Redis has forgotten the claim. What somebody else put there since then stays.
_SETTLE: Final = Script(
    """
    local held = redis.call('GET', KEYS[1])
    if not held or held == '' or held == ARGV[1] then
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    end
    """
)


class KeyReused(Exception):
    """The key came with another request before."""


class StillUnderWay(Exception):
    """Another replica is working for the key, or was when it was last heard of."""


class Claim(msgspec.Struct, array_like=True, frozen=True):
    """Whoever has this ``token`` works for the key that ``name`` stands for, or gave this ``answer``."""

    name: bytes
    fingerprint: bytes
    token: bytes
    answer: bytes | None = None

    @classmethod
    def of(cls, name: bytes, fingerprint: bytes) -> "Claim":
        return cls(name, fingerprint, secrets.token_bytes(16))


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Claim).decode


class _Met(NamedTuple):
    """A claim that this replica made or met; ``lapses`` at that time of the event loop's clock."""

    claim: Claim
    lapses: float

    @property
    def left_ms(self) -> int:
        return int((self.lapses - _now()) * 1000)


class Claims:
    """Claims that last ``lasts`` seconds, and answers that are kept for ``keeps`` seconds."""

    def __init__(self, sharing: Sharing, lasts: float, keeps: float) -> None:
        self._sharing = sharing
        self._lasts = lasts
        self._keeps_ms = int(keeps * 1000)
        self._met: LRUCache[bytes, _Met] = LRUCache(_MAX_MET)
        self._behind: set[asyncio.Task[None]] = set()

    async def take(self, mine: Claim) -> bytes | None:
        """Return the answer that there is; None when the work is the caller's to do, also when nobody can tell.

        While another replica works for the key, wait for its answer. Raises KeyReused when it came with another
        fingerprint, and StillUnderWay when there is no answer in time.
        """
        give_up = _now() + _PATIENCE_SECONDS
        fell_back = False
        while True:
            try:
                found = await self._claim(mine)
            except RedisDown as down:
                if not fell_back:
                    self._sharing.fell_back(down)
                fell_back = True
                found = self._remembered(mine)
            if found.token == mine.token:
                return None
            if found.fingerprint != mine.fingerprint:
                raise KeyReused
            if found.answer is not None:
                return found.answer
            if _now() >= give_up:
                raise StillUnderWay
            await asyncio.sleep(_between(_POLL_SECONDS))

    async def _claim(self, mine: Claim) -> Claim:
        """Return what the key holds: ``mine`` if it was free. Raises RedisDown."""
        met = self._last_met(mine.name)
        value, left_ms = await self._ask(mine, _encode(mine), int(self._lasts * 1000), met)
        found = _read(value, mine)
        if found.answer is None:
            self._met[mine.name] = _Met(found, _now() + left_ms / 1000)
        else:
            self._met.pop(mine.name, None)
        return found

    def _remembered(self, mine: Claim) -> Claim:
        """Return the claim that is known here; without any, ``mine`` is it."""
        met = self._last_met(mine.name)
        if met is None:
            met = self._met[mine.name] = _Met(mine, _now() + self._lasts)
        return met.claim

    def _last_met(self, name: bytes) -> _Met | None:
        met = self._met.get(name)
        return met if met is not None and met.left_ms > 0 else None

    async def _ask(self, mine: Claim, free: bytes, lasts_ms: int, met: _Met | None) -> tuple[bytes, int]:
        """Have the key hold ``free`` if it is free, and what was ``met`` there if Redis forgot it."""
        known, left_ms = (b"", 0) if met is None else (_encode(met.claim), max(1, met.left_ms))
        held: tuple[bytes, int] = await self._sharing.run(_CLAIM, self._key(mine), free, lasts_ms, known, left_ms)
        return held

    @contextlib.asynccontextmanager
    async def working(self, mine: Claim) -> AsyncIterator[None]:
        """Have Redis know of the work that goes on within, also if it could not or forgets it."""
        reminding = asyncio.create_task(self._remind(mine))
        try:
            yield
        finally:
            reminding.cancel()
            await asyncio.wait({reminding})

    async def _remind(self, mine: Claim) -> None:
        while (met := self._last_met(mine.name)) is not None:
            await asyncio.sleep(_between(_AGAIN_SECONDS))
            with contextlib.suppress(RedisDown):
                await self._ask(mine, b"", 0, met)

    async def settle(self, mine: Claim, answer: bytes | None) -> None:
        """Have ``answer`` be what everyone is given from now on; None: let the key go.

        While Redis cannot, this is tried again behind, as long as the claim may last.
        """
        self._met.pop(mine.name, None)
        try:
            await self._settle(mine, answer)
        except RedisDown as down:
            self._sharing.fell_back(down)
            if len(self._behind) < _MAX_BEHIND:
                task = asyncio.create_task(self._settle_later(mine, answer))
                self._behind.add(task)
                task.add_done_callback(self._behind.discard)

    async def _settle_later(self, mine: Claim, answer: bytes | None) -> None:
        give_up = _now() + self._lasts
        while _now() < give_up:
            await asyncio.sleep(_between(_AGAIN_SECONDS))
            with contextlib.suppress(RedisDown):
                await self._settle(mine, answer)
                return

    async def _settle(self, mine: Claim, answer: bytes | None) -> None:
        value, lasts_ms = b"", _LET_GO_MS
        if answer is not None:
            value, lasts_ms = _encode(msgspec.structs.replace(mine, answer=answer)), self._keeps_ms
        elif (met := self._last_met(mine.name)) is not None:  # the key has been wanted here again meanwhile
            value, lasts_ms = _encode(met.claim), met.left_ms
        await self._sharing.run(_SETTLE, self._key(mine), _encode(mine), value, lasts_ms)

    def _key(self, claim: Claim) -> str:
        return claim_key(self._sharing.prefix, claim.name)

    async def close(self) -> None:
        """Give up what is tried again."""
        behind = tuple(self._behind)
        for task in behind:
            task.cancel()
        await asyncio.gather(*behind, return_exceptions=True)


def _read(value: bytes, mine: Claim) -> Claim:
    """Return what ``value`` says. What is not for this key is taken for somebody's claim: nobody may work."""
    with contextlib.suppress(msgspec.DecodeError, TypeError):
        found = _decode(value)
        if found.name == mine.name:
            return found
    return Claim(mine.name, mine.fingerprint, b"")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _between(seconds: tuple[float, float]) -> float:
    return random.uniform(*seconds)  # noqa: S311 - no secret

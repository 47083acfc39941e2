"""Telling the other replicas which answers a write has made outdated, and hearing it of theirs."""

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from bff.cache.generations import Owner
from bff.cache.keys import generations_key
from bff.clock import monotonic
from bff.metrics import Metrics
from bff.redis import Redis, RedisDown, Script

_log: Final = structlog.get_logger("bff.invalidation")

_MAX_REMEMBERED: Final = 100_000
_MAY_BE_LOST_SECONDS: Final = (
    60.0  # what Redis confirmed and has forgotten all the same, after a restart or failover
)
_AT_ONCE: Final = 32
_RETRY_SECONDS: Final = (0.5, 1.0)

# Ending the generations reaches every copy in Redis, the message every copy in a process: nothing is searched for.
_END: Final = Script(
    """
    redis.call('PUBLISH', ARGV[1], ARGV[2])
    redis.call('HDEL', KEYS[1], unpack(ARGV, 3))
    """
)


class _Change(msgspec.Struct, array_like=True):
    origin: str
    owner: Owner
    plans: list[str]


class _Told(NamedTuple):
    at: float
    confirmed: bool


_Key = tuple[Owner, tuple[str, ...]]

_decoder: Final = msgspec.msgpack.Decoder(_Change)


class FirstTier(Protocol):
    """The copies in this process."""

    def outdated(self, plans: Sequence[str], owner: Owner) -> None:
        """Have these plans' answers to the owner made anew."""

    def drop(self) -> None:
        """Keep no copy: word of changes may have been missed."""


class Invalidations:
    """Tells the other replicas of writes here, and the first tier here of theirs.

    What Redis did not take is told again when it is back, before anything else is asked of it, and so is what it
    took last. ``longest`` is for how many seconds the longest kept answers are of use.
    """

    def __init__(self, redis: Redis, prefix: str, first_tier: FirstTier, metrics: Metrics, longest: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._channel = f"{prefix}:changed"
        self._first_tier = first_tier
        self._metrics = metrics
        self._longest = longest
        self._name = secrets.token_hex(8)
        self._told: dict[_Key, _Told] = {}  # longest ago first
        self._owing: Counter[Owner] = Counter()  # how many of them are not confirmed
        self._under_way: set[asyncio.Task[None]] = set()
        self._retrying: asyncio.Task[None] | None = None
        redis.subscribe(self._channel, self._hear, self._drop)
        redis.when_up(self._tell_again)

    async def tell(self, owner: Owner, plans: tuple[str, ...]) -> None:
        """Have these plans' answers to the owner made anew everywhere. When it returns Redis has it or failed.

        It is told whatever becomes of the caller, and again until Redis has it.
        """
        self._metrics.invalidations.labels("here").inc()
        told = _Told(monotonic(), confirmed=False)
        self._remember(owner, plans, told)
        telling = asyncio.create_task(self._tell((owner, plans), told.at))
        self._under_way.add(telling)
        telling.add_done_callback(self._under_way.discard)
        await asyncio.shield(telling)

    def owes(self, owner: Owner) -> bool:
        """Return whether Redis may not know of all the owner's changes here: its copies are not to be trusted."""
        return owner in self._owing

    async def _tell(self, key: _Key, at: float) -> None:
        try:
            await self._end(*key)
        except RedisDown:
            if self._retrying is None:
                self._retrying = asyncio.create_task(self._retry())
        else:
            self._confirm(key, at)

    async def _retry(self) -> None:
        while self._owing:
            await asyncio.sleep(random.uniform(*_RETRY_SECONDS))  # noqa: S311 - jitter protects nothing
            with contextlib.suppress(RedisDown):
                await self._tell_again()
        self._retrying = None

    def _confirm(self, key: _Key, at: float) -> None:
        told = self._told.get(key)
        if told is not None and told.at == at:  # else there has been another one since
            self._told[key] = _Told(at, confirmed=True)
            self._settle(key[0])

    def _settle(self, owner: Owner) -> None:
        self._owing[owner] -= 1
        if not self._owing[owner]:
            del self._owing[owner]

    def _remember(self, owner: Owner, plans: tuple[str, ...], told: _Told) -> None:
        self._forget((owner, plans))
        self._told[owner, plans] = told
        self._owing[owner] += 1
        oldest = next(iter(self._told))
        if len(self._told) > _MAX_REMEMBERED:
            if not self._told[oldest].confirmed:
                _log.error("invalidation forgotten: other replicas may serve what it changed")
            self._forget(oldest)
        elif told.at - self._told[oldest].at > self._longest:
            self._forget(oldest)

    def _forget(self, key: _Key) -> None:
        told = self._told.pop(key, None)
        if told is not None and not told.confirmed:
            self._settle(key[0])

    async def _end(self, owner: Owner, plans: tuple[str, ...]) -> None:
        message = msgspec.msgpack.encode(_Change(self._name, owner, list(plans)))
        await self._redis.run(_END, [generations_key(self._prefix, owner)], [self._channel, message, *plans])

    async def _tell_again(self) -> None:
        """Tell what Redis may not know. Raises RedisDown."""
        again = self._may_be_unknown()
        while again:
            for start in range(0, len(again), _AT_ONCE):
                batch = again[start : start + _AT_ONCE]
                await asyncio.gather(*(self._end(*key) for key, _ in batch))
                for key, at in batch:
                    self._confirm(key, at)
            again = [(key, told.at) for key, told in self._told.items() if not told.confirmed]  # there were writes

    def _may_be_unknown(self) -> list[tuple[_Key, float]]:
        now = monotonic()
        return [
            (key, told.at)
            for key, told in self._told.items()
            if now - told.at < (_MAY_BE_LOST_SECONDS if told.confirmed else self._longest)
        ]

    def _hear(self, message: bytes) -> None:
        try:
            change = _decoder.decode(message)
        except msgspec.DecodeError:
            _log.warning("message not understood")
            self._drop()
            return
        if change.origin != self._name:
            self._metrics.invalidations.labels("elsewhere").inc()
            self._first_tier.outdated(change.plans, change.owner)

    async def close(self) -> None:
        """Give up what could not be told until now."""
        tasks = [*self._under_way, *([self._retrying] if self._retrying else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self) -> None:
        self._metrics.first_tier_drops.inc()
        self._first_tier.drop()

"""Kept answers that replicas share in Redis, and the leases by which one of them makes an answer for all."""

import asyncio
import random
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import structlog

from bff.cache.keys import SharedKeys, shared_keys
from bff.cache.store import Entry
from bff.cache.wire import GENERATION_BYTES, SLACK_MS, TIME_DIGITS, RedisClock, Unreadable, Wire
from bff.clock import monotonic
from bff.metrics import Metrics
from bff.plans.operation import Ask
from bff.plans.plan import Plan
from bff.redis import Redis, RedisDown, Script
from bff.vault import Vault

_log: Final = structlog.get_logger("bff.second_tier")

_LEASE_MARGIN_MS: Final = 500
_POLL_SECONDS: Final = (0.01, 0.02, 0.04)  # the last one again and again
_MAX_BYTES: Final = 1024 * 1024  # larger answers would hold up everyone's commands on the way
_EVERYONE: Final = "*"  # in the place of whoever holds a lease: each replica makes the answer by itself

# One round trip: the copy if it is good, else the lease to make one if nobody has it. A generation that is missing
# (a write ended it, or Redis forgot it) begins anew under a name never used before: no earlier copy counts, and no
# lease to make one.
_FIND: Final = Script(
    f"""
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local generation = redis.call('HGET', KEYS[2], ARGV[1])
    local kept = false
    if generation then
        kept = redis.call('GET', KEYS[1])
        local said = {4 * TIME_DIGITS} + 1
        if kept and string.sub(kept, said, said + {GENERATION_BYTES - 1}) ~= generation then
            kept = false
        end
        if kept and (tonumber(string.sub(kept, 1, {TIME_DIGITS})) or now) > now + {SLACK_MS} then
            kept = false
        end
    else
        generation = ARGV[2]
        redis.call('HSET', KEYS[2], ARGV[1], generation)
        redis.call('PEXPIRE', KEYS[2], ARGV[3])
    end
    local good = tonumber(ARGV[4])
    if kept and good > 0 then
        local until_ms = string.sub(kept, good * {TIME_DIGITS} + 1, (good + 1) * {TIME_DIGITS})
        if now < tonumber(until_ms) then
            return {{now, generation, kept, 1, 0}}
        end
    end
    local lease = redis.call('GET', KEYS[3])
    if lease == generation .. '{_EVERYONE}' then
        return {{now, generation, kept or '', 0, 1}}
    end
    local mine = not lease or string.sub(lease, 1, {GENERATION_BYTES}) ~= generation
    if mine then
        redis.call('SET', KEYS[3], generation .. ARGV[5], 'PX', ARGV[6])
        redis.call('PEXPIRE', KEYS[2], ARGV[3])
    end
    return {{now, generation, kept or '', 0, mine and 1 or 0}}
    """
)

# A copy that was asked for later stays, and what belongs to an earlier generation comes too late. The lease
# is over whoever holds it: there is an answer now.
_PUT: Final = Script(
    f"""
    local said = {4 * TIME_DIGITS}
    local generation = string.sub(ARGV[1], said + 1, said + {GENERATION_BYTES})
    if redis.call('HGET', KEYS[2], ARGV[3]) ~= generation then
        return
    end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local asked = tonumber(redis.call('GETRANGE', KEYS[1], 0, {TIME_DIGITS - 1})) or 0
    local kept = redis.call('GETRANGE', KEYS[1], said, said + {GENERATION_BYTES - 1})
    local later = asked > tonumber(string.sub(ARGV[1], 1, {TIME_DIGITS})) and asked <= now + {SLACK_MS}
    if kept ~= generation or not later then
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    end
    redis.call('DEL', KEYS[3])
    """
)

_TRY: Final = Script("redis.call('SET', KEYS[1], 1, 'PX', 1000)")

_FREE: Final = Script("redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")

_RELEASE: Final = Script(
    """
    if redis.call('GET', KEYS[1]) == ARGV[1] then
        redis.call('DEL', KEYS[1])
    end
    """
)


class Good(IntEnum):
    """What a copy must still be to do; the value is the place of that time in an entry."""

    NONE = 0
    FRESH = 1
    STALE = 2


@dataclass(frozen=True, slots=True)
class Found:
    """What Redis has: ``entry`` is the kept copy, ``good`` whether it will do.

    What is made instead belongs to ``generation``. It is for this process to make if ``leads``: it holds the
    lease, or there is none because of a copy that only this process cannot read.
    """

    keys: SharedKeys
    generation: bytes
    clock: RedisClock
    token: str
    entry: Entry | None
    good: bool
    leads: bool


class SecondTier:
    """``longest`` is for how many seconds the longest kept answers are of use."""

    def __init__(self, redis: Redis, prefix: str, vault: Vault | None, metrics: Metrics, longest: float) -> None:
        self._redis = redis
        self._prefix = prefix
        self._wire = Wire(vault)
        self._lookups = {
            result: metrics.second_tier.labels(result) for result in ("hit", "miss", "waited", "refused", "failed")
        }
        self._generations_ms = int(longest * 2000) + 60_000
        self._behind: set[asyncio.Task[None]] = set()
        redis.when_up(self._see_whether_it_can_be_written)

    async def _see_whether_it_can_be_written(self) -> None:
        """Raise RedisDown if not: its copies could not be declared outdated."""
        await self._redis.run(_TRY, [f"{self._prefix}:{{try}}:t"], [])

    async def find(self, plan: Plan[Any], ask: Ask[Any], good: Good, patience: float) -> Found | None:
        """Return what there is; None when Redis cannot say or must not know, or would not say what is outdated.

        While another replica makes the answer, wait for it for at most ``patience`` seconds; not at all for a
        copy that need not be ``good``.
        """
        if not (self._redis.is_up and self._redis.hears and self._wire.may_carry(plan)):
            return None
        keys = shared_keys(self._prefix, plan, ask.caller, ask.query)
        give_up = monotonic() + patience
        polls = 0
        try:
            found = await self._look(plan, keys, good)
            while good and not (found.good or found.leads) and (left := give_up - monotonic()) > 0:
                pause = _POLL_SECONDS[min(polls, len(_POLL_SECONDS) - 1)]
                polls += 1
                await asyncio.sleep(min(left, _pause(pause)))
                found = await self._look(plan, keys, good)
        except RedisDown:
            self._lookups["failed"].inc()
            return None
        self._lookups[("waited" if polls else "hit") if found.good else "miss"].inc()
        return found

    async def watch(self, plan: Plan[Any], found: Found, patience: float) -> Entry | None:
        """Return a copy as soon as there is a good one; None when there is none within ``patience`` seconds."""
        give_up = monotonic() + patience
        try:
            while True:
                seen = await self._look(plan, found.keys, Good.STALE)
                if seen.good:
                    return seen.entry
                left = give_up - monotonic()
                if seen.leads or left <= 0:
                    self.release(seen)  # if so, nobody else makes it any more
                    return None
                await asyncio.sleep(min(left, _pause(_POLL_SECONDS[-1])))
        except RedisDown:
            return None  # then there is only what this process makes itself

    async def _look(self, plan: Plan[Any], keys: SharedKeys, good: Good) -> Found:
        token = secrets.token_hex(GENERATION_BYTES // 2)
        lease_ms = int(plan.deadline * 1000) + _LEASE_MARGIN_MS
        sent = monotonic()
        reply = await self._redis.run(
            _FIND,
            [keys.entry, keys.generations, keys.lease],
            [plan.name, token, self._generations_ms, good.value, token, lease_ms],
        )
        try:
            now, generation, kept, is_good, leads = reply
            clock = RedisClock(int(now), sent, monotonic())
        except (TypeError, ValueError):
            raise RedisDown("refused") from None  # whoever that is, it is not our Redis
        entry = self._read(plan, keys, generation, kept, clock) if kept else None
        is_readable = entry is not None
        return Found(
            keys,
            generation,
            clock,
            token,
            entry,
            good=bool(is_good) and is_readable,
            leads=bool(leads) or (bool(is_good) and not is_readable),
        )

    def _read(
        self, plan: Plan[Any], keys: SharedKeys, generation: bytes, kept: bytes, clock: RedisClock
    ) -> Entry | None:
        try:
            return self._wire.decode(plan, keys, generation, kept, clock)
        except Unreadable as why:
            self._lookups["refused"].inc()
            _log.warning("kept answer refused", plan=plan.name, why=str(why))
            return None

    def put(self, plan: Plan[Any], found: Found, entry: Entry) -> None:
        """Let the other replicas have ``entry``, behind the answer that is going out."""
        data, lasts = self._wire.encode(plan, found.keys, found.generation, entry, found.clock)
        keys = found.keys
        if len(data) > _MAX_BYTES:
            self._do(self._run(_FREE, [keys.lease], [found.generation + _EVERYONE.encode(), max(1, lasts)]))
            return
        self._do(self._run(_PUT, [keys.entry, keys.generations, keys.lease], [data, max(1, lasts), plan.name]))

    def release(self, found: Found) -> None:
        """Let another replica try: nothing came of it here."""
        if found.leads:
            self._do(self._run(_RELEASE, [found.keys.lease], [found.generation + found.token.encode()]))

    async def _run(self, script: Script, keys: list[str], arguments: list[str | bytes | int]) -> None:
        try:
            await self._redis.run(script, keys, arguments)
        except RedisDown as down:
            # The copy in this process remains, and the lease runs out by itself.
            _log.debug("answer not shared", reason=down.reason)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def close(self) -> None:
        """Wait for what is on its way to Redis; each command has its own time."""
        await asyncio.gather(*self._behind)


def _pause(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - no secret

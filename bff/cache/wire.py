"""An answer as Redis holds it: it says itself what it is, and is refused when that is not what was asked for.

Four times (when it was asked for; until when it is fresh, may be served stale, may be served on error) in
milliseconds of Redis's clock, 13 digits each, and its generation stand in front, where scripts can read them.
What follows says all of it again, sealed when it holds a secret.
"""

from typing import Any, Final, NamedTuple

import msgspec

from bff.cache.keys import SharedKeys
from bff.cache.store import Entry
from bff.clock import monotonic
from bff.plans.plan import Plan
from bff.vault import Unsealable, Vault

TIME_DIGITS: Final = 13
GENERATION_BYTES: Final = 16
_HEAD_BYTES: Final = 4 * TIME_DIGITS + GENERATION_BYTES
_PLAIN: Final = b"p"
_SEALED: Final = b"s"
SLACK_MS: Final = 1_000  # replicas read Redis's clock with the time that a command may take


class Unreadable(Exception):
    """It is no answer, or another one than was asked for."""


class RedisClock(NamedTuple):
    """Redis's clock as it was read last: it said ``redis_ms`` between ``sent`` and ``received`` (monotonic)."""

    redis_ms: int
    sent: float
    received: float

    def to_redis(self, seconds: float) -> int:
        """Return Redis's time (milliseconds) at ``seconds`` of the monotonic clock, rather too early than late."""
        return self.redis_ms + int((seconds - self.received) * 1000)

    def to_monotonic(self, ms: int) -> float:
        """Return the monotonic time at which Redis's clock says ``ms``, rather too early than late."""
        return self.sent + (ms - self.redis_ms) / 1000


class _Times(msgspec.Struct, array_like=True, frozen=True):
    asked: int
    fresh: int
    stale: int
    error: int


class _Payload(msgspec.Struct, array_like=True):
    text: bytes
    version: str
    scope: str
    generation: bytes
    times: _Times
    etag: bytes | None
    degraded: str | None
    timing: str
    body: bytes


_decoder: Final = msgspec.msgpack.Decoder(_Payload)
_encoder: Final = msgspec.msgpack.Encoder()


class Wire:
    """Writes and reads entries; ``vault`` seals those with secrets."""

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault

    def may_carry(self, plan: Plan[Any]) -> bool:
        """Return whether the plan's answers may leave the process: those with secrets only when sealed."""
        return self._vault is not None or not plan.secret

    def encode(
        self, plan: Plan[Any], keys: SharedKeys, generation: bytes, entry: Entry, clock: RedisClock
    ) -> tuple[bytes, int]:
        """Return the entry's bytes, and for how many milliseconds it is of use."""
        ends = (entry.fresh_until, entry.stale_until, entry.error_until)
        times = _Times(clock.to_redis(entry.asked_at), *map(clock.to_redis, ends))
        payload = _Payload(
            keys.text,
            plan.version,
            plan.shared_by.value,
            generation,
            times,
            entry.etag,
            entry.degraded,
            entry.timing,
            entry.body,
        )
        data = _encoder.encode(payload)
        if plan.secret:
            assert self._vault is not None
            data = _SEALED + self._vault.seal_bytes(data, keys.entry.encode())
        else:
            data = _PLAIN + data
        lasts = int((entry.last_use - monotonic()) * 1000)
        return _head(times, generation) + data, lasts

    def decode(
        self, plan: Plan[Any], keys: SharedKeys, generation: bytes, data: bytes, clock: RedisClock
    ) -> Entry:
        """Return the entry that ``data`` holds. Raises Unreadable unless it is the one asked for."""
        payload = self._payload(plan, keys, data)
        said = (payload.text, payload.version, payload.scope, payload.generation)
        if said != (keys.text, plan.version, plan.shared_by.value, generation):
            raise Unreadable("another answer")
        if not _fits_headers(payload):
            raise Unreadable("impossible headers")
        times = payload.times
        if data[:_HEAD_BYTES] != _head(times, generation) or not _are_possible(times, plan, clock):
            raise Unreadable("impossible times")
        return Entry(
            body=payload.body,
            etag=payload.etag,
            degraded=payload.degraded,
            timing=payload.timing,
            asked_at=clock.to_monotonic(times.asked),
            fresh_until=clock.to_monotonic(times.fresh),
            stale_until=clock.to_monotonic(times.stale),
            error_until=clock.to_monotonic(times.error),
        )

    def _payload(self, plan: Plan[Any], keys: SharedKeys, data: bytes) -> _Payload:
        kind, rest = data[_HEAD_BYTES : _HEAD_BYTES + 1], data[_HEAD_BYTES + 1 :]
        if kind != (_SEALED if plan.secret else _PLAIN):
            raise Unreadable("not as its kind is kept")
        try:
            if kind == _SEALED:
                assert self._vault is not None
                rest = self._vault.open_bytes(rest, keys.entry.encode())
            return _decoder.decode(rest)
        except (Unsealable, msgspec.DecodeError) as error:
            raise Unreadable("not an answer") from error


def _head(times: _Times, generation: bytes) -> bytes:
    return b"%013d%013d%013d%013d%b" % (times.asked, times.fresh, times.stale, times.error, generation)


def _fits_headers(payload: _Payload) -> bool:
    """Return whether it can go into a response's head, where a line break would begin another header."""
    texts = (payload.timing, payload.degraded or "", (payload.etag or b"").decode("latin-1"))
    return all(text.isascii() and text.isprintable() for text in texts)


def _are_possible(times: _Times, plan: Plan[Any], clock: RedisClock) -> bool:
    """Return whether an answer of this plan can have these times: none is good for longer than the plan says."""
    made_by = times.asked + plan.deadline * 1000 + SLACK_MS
    keep = plan.keep
    return (
        times.asked <= clock.redis_ms + SLACK_MS
        and times.fresh <= made_by + keep.fresh * 1000
        and times.fresh <= times.stale <= made_by + (keep.fresh + keep.stale) * 1000
        and times.error <= made_by + keep.on_error * 1000
    )

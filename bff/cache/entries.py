"""From what the sources gave to an entry that may be kept."""

import hashlib
from typing import Any

from bff.cache.store import Entry
from bff.clock import monotonic
from bff.plans.fan_out import FanOut
from bff.plans.plan import Got, Plan
from bff.plans.shared import DEGRADED_FRESH_SECONDS
from upstreams.failure import UpstreamFailure


def entry_of(plan: Plan[Any], body: bytes, got: Got, *, asked_at: float, timing: str) -> Entry:
    now = monotonic()
    degraded = degradation(*got.failures) if got.failures else None
    fresh = plan.keep.fresh if degraded is None else min(plan.keep.fresh, DEGRADED_FRESH_SECONDS)
    stale = plan.keep.stale if degraded is None else 0.0
    return Entry(
        body=body,
        etag=None if plan.secret else b'"%s"' % hashlib.blake2b(body, digest_size=16).hexdigest().encode(),
        degraded=degraded,
        timing=timing,
        asked_at=asked_at,
        fresh_until=now + fresh,
        stale_until=now + fresh + stale,
        error_until=now + plan.keep.on_error,
    )


def degradation(*failures: UpstreamFailure) -> str:
    """Return the value of BFF-Degraded (an RFC 9651 list) for what failed, the same once."""
    return ", ".join(dict.fromkeys(f"{each.upstream};reason={each.reason}" for each in failures))


def timing_of(fan_out: FanOut, total: float) -> str:
    parts = [
        f"{upstream};dur={took:.1f}" + (f';desc="{reason}"' if reason else "")
        for upstream, took, reason in fan_out.timings
    ]
    return ", ".join([*parts, f"total;dur={total * 1000:.1f}"])

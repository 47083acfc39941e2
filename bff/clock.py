"""The two clocks: one that only goes forward, for ages; one that tells the time, for answers."""

import time
from datetime import UTC, datetime

monotonic = time.monotonic


def utc_now() -> datetime:
    return datetime.now(UTC)

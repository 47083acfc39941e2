"""What the replicas count and remember together, one feature at a time, and who decides when Redis cannot."""

from typing import Any, Final

import structlog

from bff.clock import monotonic
from bff.metrics import Metrics
from bff.redis import Redis, RedisDown, Script

_log: Final = structlog.get_logger("bff.sharing")

# A full Redis refuses some commands and not others: nothing is over before all has gone well for so long.
_CALM_SECONDS: Final = 5.0


class Sharing:
    """Redis for one ``feature``, whose keys begin with ``prefix``."""

    def __init__(self, feature: str, redis: Redis, prefix: str, metrics: Metrics) -> None:
        self.prefix = prefix
        self._feature = feature
        self._redis = redis
        self._fallbacks = metrics.fallbacks.labels(feature)
        self._fell_back_at: float | None = None  # while the log has not been told that it is over

    async def run(self, script: Script, key: str, *arguments: str | bytes | int) -> Any:
        """Return what the script returns. Raises RedisDown."""
        reply = await self._redis.run(script, [key], arguments)
        if self._fell_back_at is not None and monotonic() - self._fell_back_at >= _CALM_SECONDS:
            self._fell_back_at = None
            _log.info("redis decides again", feature=self._feature)
        return reply

    def fell_back(self, down: RedisDown) -> None:
        """Tell the metrics that process memory decided something in Redis's place; tell the log once."""
        self._fallbacks.inc()
        if self._fell_back_at is None:
            _log.warning("process memory decides", feature=self._feature, reason=down.reason)
        self._fell_back_at = monotonic()

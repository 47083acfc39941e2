"""What the operations' port tells Prometheus: the shared tier, what fell back to memory, what was refused."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one gateway, in a registry of its own: two gateways in one process share none."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.redis_up = Gauge(
            "bff_redis_up", "1 while Redis answers in time, 0 while it is left alone.", registry=self._registry
        )
        self.redis_failures = Counter(
            "bff_redis_failures", "Commands that Redis did not carry out.", ["reason"], registry=self._registry
        )
        self.fallbacks = Counter(
            "bff_redis_fallbacks",
            "What was decided in process memory because Redis could not.",
            ["feature"],
            registry=self._registry,
        )
        self.second_tier = Counter(
            "bff_second_tier_lookups", "Answers looked for in Redis.", ["result"], registry=self._registry
        )
        self.invalidations = Counter(
            "bff_invalidations", "Answers declared outdated by a write.", ["origin"], registry=self._registry
        )
        self.first_tier_drops = Counter(
            "bff_first_tier_drops",
            "Times that all kept answers were dropped: invalidations may have been missed.",
            registry=self._registry,
        )
        self.concurrency_limit = Gauge(
            "bff_concurrency_limit", "Requests that may be worked on at once.", registry=self._registry
        )
        self.in_flight = Gauge("bff_requests_in_flight", "Requests being worked on.", registry=self._registry)
        self.shed = Counter("bff_shed_requests", "Requests refused under overload.", registry=self._registry)
        self.connections = Gauge("bff_connections", "Open client connections.", registry=self._registry)
        self.dropped_connections = Counter(
            "bff_dropped_connections",
            "Client connections ended early.",
            ["reason"],
            registry=self._registry,
        )

    def render(self) -> bytes:
        """Return everything in Prometheus's text format, of ``MEDIA_TYPE``."""
        return generate_latest(self._registry)

"""The log line of a request."""

from typing import Any, Final

import structlog

from bff.edge.exchange import Exchange

_log: Final = structlog.get_logger("bff.request")


def record(exchange: Exchange, method: str) -> None:
    """Log what became of the request: no path, query, token or body, and the user only as a hash."""
    line: dict[str, Any] = {
        "operation": exchange.operation,
        "method": method,
        "status": exchange.status,
        "ms": round(exchange.elapsed_ms(), 1),
        "request_id": exchange.request_id.decode(),
    }
    for name in ("user", "cache", "degraded", "failure"):
        if (value := getattr(exchange, name)) is not None:
            line[name] = value
    _log.info("request", **line)

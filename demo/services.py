"""The pretend monitored services, and the agent management service's health."""

from datetime import UTC, datetime

from starlette.types import ASGIApp

from demo.asgi import HTML_TYPE, Answer, fresh, json_answer

HEALTH = "/health"
OK = json_answer({"status": "ok"})
BAD_GATEWAY = json_answer({"error": "Bad Gateway"}, 502)
NOT_FOUND = Answer(404, HTML_TYPE, b"<!DOCTYPE html>\n<html><body><pre>Cannot GET</pre></body></html>\n")

# Upstream name -> the service's display name and what it answers when asked for its health.
MONITORED = {
    "agentbot-api": ("Agentbot API", OK),
    "tempo-soul": ("Tempo Soul", OK),
    "x402-gateway": ("x402 Gateway", BAD_GATEWAY),
}


def _backend_health() -> Answer:
    return json_answer(
        {
            "status": "ok",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "docker": "unavailable",
            "provisioning": "disabled",
            "provider": "unknown",
            "provisioningProvider": "none",
            "project": None,
            "service": None,
        }
    )


def backend_routes() -> dict[str, ASGIApp]:
    """Return the path of the agent management service that anybody may ask for."""
    return {HEALTH: fresh(_backend_health)}

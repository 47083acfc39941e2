"""What documents 000, 002 and 004 and contract.md say is answered when something that is needed fails."""

from typing import Any, Final

LIFECYCLE: Final = {"success": False, "status": "error"}
UNAVAILABLE: Final = {"error": "Service unavailable"}
NO_AGENT: Final = (404, {"error": "Agent not found"})

_BACKEND_DOWN: Final = (502, "Backend service unavailable")
_ORDERS: Final = ("start", "stop", "restart", "update", "repair", "reset-memory")
ORDERS: Final = [f"instance.{order}" for order in _ORDERS]

# Operation -> status and message when an upstream fails that it needs.
FAILED: Final[dict[str, tuple[int, str]]] = {
    "dashboard.data": (500, "Failed to fetch dashboard data"),
    "dashboard.analytics": (500, "Failed to fetch analytics"),
    "dashboard.bootstrap": (500, "Failed to fetch bootstrap data"),
    "dashboard.cost": (500, "Failed to fetch cost data"),
    "admin.summary": (500, "Failed to fetch admin summary"),
    "agents.list": (500, "Failed to fetch agents"),
    "agents.provisioned": (500, "Failed to list agents"),
    "agents.detail": (500, "Failed to fetch agent"),
    "agents.config": (500, "Failed to fetch agent configuration"),
    "agents.logs": (500, "Failed to fetch agent logs"),
    "agents.messages": (500, "Failed to fetch agent messages"),
    "agents.stats": (500, "Failed to fetch agent stats"),
    "agents.verification": (500, "Failed to fetch verification status"),
    "instance.details": (500, "Failed to fetch instance"),
    "instance.stats": (500, "Failed to fetch instance stats"),
    "instance.token": (500, "Failed to get token"),
    "agent.sessions": (500, "Internal error"),
    "agent.session": (500, "Internal error"),
    "agent.memory": (500, "Internal error"),
    "agent.skills": (500, "Internal error"),
    "agent.credentials": (500, "Internal error"),
    "chat.messages": (500, "Failed to fetch messages"),
    "agents.provision": (500, "Failed to provision agent"),
    "agents.config.update": (500, "Failed to update agent configuration"),
    "agents.verify": (500, "Failed to verify agent"),
    "agents.unverify": (500, "Failed to remove verification"),
    **dict.fromkeys(ORDERS, (500, "Internal server error")),
    "agent.chat": (500, "Internal error"),
    "agent.update-skill": (500, "Internal error"),
    "agent.set-credential": (500, "Internal error"),
    "chat.send": (500, "Failed to send message"),
}

# The same where the documents tell the agent management service's failures apart.
BACKEND_FAILED: Final[dict[str, tuple[int, str]]] = {
    **dict.fromkeys(("instance.details", "instance.stats", "instance.token", *ORDERS), _BACKEND_DOWN),
    "provision": (502, "Provisioning service unavailable"),
}

# Whose agent the service says, in JSON, that it does not have.
MAY_BE_MISSING: Final = {
    "agents.detail",
    "agents.config",
    "agents.logs",
    "agents.verification",
    "agents.config.update",
    "agents.verify",
    "agents.unverify",
}


def failed(name: str, upstream: str, *, unknown: bool = False) -> tuple[int, dict[str, Any]]:
    """Return status and body when ``upstream`` fails; ``unknown``: what was to be done may have been done."""
    by_upstream = BACKEND_FAILED if upstream == "backend" else {}
    status, message = by_upstream.get(name) or FAILED[name]
    if name in ORDERS:
        return status, LIFECYCLE
    more = {"agents": [], "count": 0} if name == "agents.list" else {}
    return status, {"error": f"{message}: the outcome is unknown" if unknown else message, **more}

"""What document 004 deprecates, and what took its place."""

from typing import Final

from bff.edge.gone import Gone

GONE: Final = (
    Gone(
        "agents.create",
        "POST",
        "/api/agents",
        successor="/api/agents/provision",
        instead="POST /api/agents/provision to create agents",
    ),
    Gone(
        "agents.update",
        "PUT",
        "/api/agents/{agent_id}",
        successor="/api/agents/{agent_id}/config",
        instead="PUT /api/agents/:id/config to update agent configuration",
    ),
    Gone(
        "agents.delete",
        "DELETE",
        "/api/agents/{agent_id}",
        successor="/api/instance/{agent_id}/stop",
        instead="the lifecycle endpoints, for example POST /api/instance/:userId/stop",
    ),
)

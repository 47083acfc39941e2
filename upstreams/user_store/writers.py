"""From what the client is given to a statement's parameters."""

import json
from typing import Any

from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store.rows import NewAgent
from upstreams.user_store.turns import UPSTREAM


def new_agent(agent: NewAgent) -> dict[str, Any]:
    """Return the agent's values. Raises UpstreamFailure, ``malformed``, when its configuration is not JSON."""
    return {
        "agent_id": agent.id,
        "user_id": agent.user_id,
        "agent_name": agent.name,
        "agent_model": agent.model,
        "agent_tier": agent.tier,
        "agent_config": None if agent.config is None else _document(agent.config),
    }


def _document(config: dict[str, Any]) -> str:
    # The token that the user's gateway is asked with is read from here (``gateway_token_json``): only the
    # platform may set it, not who writes the configuration.
    kept = {name: value for name, value in config.items() if name != "gatewayToken"}
    try:
        return json.dumps(kept, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UpstreamFailure(UPSTREAM, Reason.MALFORMED) from error

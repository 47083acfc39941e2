"""What a plan costs and how many agents it allows (document 000, "Plan pricing", "Plan agent limits").

Stored names are compared in lower case. A name that the tables lack costs nothing and allows one agent.
"""

from datetime import datetime
from typing import Final

from upstreams.user_store import Standing

ADMIN_AGENT_LIMIT: Final = 999  # contract.md, "Provision agent"

_MONTHLY_COST = {
    "solo": 29,
    "starter": 29,
    "underground": 29,
    "collective": 69,
    "pro": 69,
    "label": 149,
    "scale": 149,
    "network": 499,
    "enterprise": 499,
}

_AGENT_LIMIT = {
    "free": 1,
    "solo": 1,
    "starter": 1,
    "collective": 3,
    "pro": 3,
    "label": 10,
    "scale": 10,
    "network": 100,
    "enterprise": 100,
}


def plan_name(stored: str | None) -> str:
    """Return the plan as answers show it: the stored name, ``free`` for none."""
    return "free" if stored is None else stored


def monthly_cost(plan: str | None) -> int:
    """Return the plan's price in USD a month, 0 for a free or unknown one."""
    return _MONTHLY_COST.get(plan_name(plan).lower(), 0)


def agent_limit(plan: str | None) -> int:
    """Return how many agents the plan allows, 1 for an unknown one."""
    return _AGENT_LIMIT.get(plan_name(plan).lower(), 1)


def is_subscribed(standing: Standing, now: datetime) -> bool:
    """Return whether agents may be provisioned: the subscription is active, or its trial has not ended."""
    in_trial = standing.trial_ends_at is not None and standing.trial_ends_at > now
    return standing.subscription_status == "active" or in_trial

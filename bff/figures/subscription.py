"""What a plan costs and how many agents it allows (document 000, "Plan pricing", "Plan agent limits").

Stored names are compared in lower case. A name that the tables lack costs nothing and allows one agent.
"""

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

"""The user store: the platform's relational database, PostgreSQL or SQLite (read by the same statements)."""

from upstreams.user_store.client import UserStore
from upstreams.user_store.rows import (
    Account,
    AgentErrorRow,
    AgentRow,
    Bootstrap,
    Counts,
    Dashboard,
    ExpiringTrial,
    Inventory,
    LiveAgent,
    MonthActivity,
    SessionOwner,
    Subscription,
    Summary,
    TopSkill,
)

__all__ = [
    "Account",
    "AgentErrorRow",
    "AgentRow",
    "Bootstrap",
    "Counts",
    "Dashboard",
    "ExpiringTrial",
    "Inventory",
    "LiveAgent",
    "MonthActivity",
    "SessionOwner",
    "Subscription",
    "Summary",
    "TopSkill",
    "UserStore",
]

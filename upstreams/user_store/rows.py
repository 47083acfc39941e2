"""What the user store returns and takes: plain values, times aware and in UTC, secrets out of every repr."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Account:
    """Who a user is and how to reach the user's OpenClaw gateway."""

    user_id: str
    email: str | None = None
    openclaw_url: str | None = None
    gateway_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SessionOwner:
    """Whose a session is. An owner missing from ``User`` is an account of which only the id is known."""

    account: Account
    expires: datetime


@dataclass(frozen=True, slots=True)
class AgentRow:
    id: str
    status: str
    name: str
    tier: str | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The user and the user's agent; ``openclaw_instance_id`` is what the user set, without a fallback."""

    user_id: str
    credits: int
    plan: str | None
    openclaw_url: str | None
    openclaw_instance_id: str | None
    gateway_token: str | None = field(repr=False)
    agent: AgentRow | None


@dataclass(frozen=True, slots=True)
class Bootstrap:
    credits: int
    referral_code: str | None
    referral_count: int
    plan: str | None
    openclaw_url: str | None
    openclaw_instance_id: str | None
    gateway_token: str | None = field(repr=False)


class MonthActivity(NamedTuple):
    """What was created in a month; ``month_index`` is ``year * 12 + month - 1``."""

    month_index: int
    deployments: int
    skills: int
    tasks: int


class TopSkill(NamedTuple):
    name: str
    installs: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a user has, and when it came: ``trend`` holds only months with something in them, oldest first."""

    agents_total: int
    agents_live: int
    skills_enabled: int
    tasks_total: int
    trend: tuple[MonthActivity, ...]
    top_skills: tuple[TopSkill, ...]


class LiveAgent(NamedTuple):
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """The plan and the agents that share its cost, oldest first."""

    plan: str | None
    agent_count: int
    active_agents: int
    live_agents: tuple[LiveAgent, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a user has; ``active`` counts the status ``active`` alone."""

    plan: str | None
    active: int
    total: int
    new_today: int
    skills_installed: int
    tasks_total: int


@dataclass(frozen=True, slots=True)
class ExpiringTrial:
    id: str
    email: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class AgentErrorRow:
    id: str
    name: str
    user_id: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole platform: trials on the free plan, agents by status, the agents that failed last."""

    active_trials: int
    expiring: tuple[ExpiringTrial, ...]
    totals: dict[str, int]
    recent_errors: tuple[AgentErrorRow, ...]


class AgentRecord(NamedTuple):
    """One of a user's agents, of which there can be thousands."""

    id: str
    name: str
    model: str | None
    status: str
    websocket_url: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OwnedAgent:
    id: str
    name: str
    model: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Instance:
    """The instance that the user set, else the user's agent as of ``Dashboard``; the latter's model and status."""

    instance_id: str | None
    plan: str | None
    model: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """By what a user may provision; ``agents`` are those whose status is not ``error``."""

    plan: str | None
    subscription_status: str | None
    trial_ends_at: datetime | None
    agents: int


@dataclass(frozen=True, slots=True)
class NewAgent:
    """An agent to be. A ``gatewayToken`` in its ``config`` is not kept."""

    id: str
    user_id: str
    name: str
    model: str
    tier: str | None
    config: dict[str, Any] | None = field(repr=False)


class InstalledSkill(NamedTuple):
    """A skill, ``enabled`` when it is for any agent that it is installed for."""

    id: str
    name: str
    description: str | None
    enabled: bool

"""Dashboard API (document 000): the answers of ``/api/dashboard/*``."""

from typing import Literal

from pydantic import Field

from contracts._base import Document, Timestamp


class Check(Document):
    """One entry of ``health.checks``; ``detail`` is absent when the check passed."""

    name: str
    status: Literal["ok", "down"]
    detail: str | None = Field(default=None, exclude_if=lambda detail: detail is None)


class Health(Document):
    status: Literal["healthy", "degraded"]
    checks: list[Check]


class Agent(Document):
    id: str
    status: str
    name: str
    tier: str


class Meta(Document):
    response_time: int
    cached: bool
    timestamp: Timestamp


class DashboardData(Document):
    """``GET /api/dashboard/data``."""

    user_id: str
    credits: int
    plan: str
    openclaw_url: str | None
    openclaw_instance_id: str | None
    gateway_token: str | None
    agent: Agent | None
    health: Health
    meta: Meta


class Overview(Document):
    deployed_agents: int
    live_agents: int
    installed_skills: int
    scheduled_tasks: int
    connected_channels: int
    channel_messages: int


class TrendBucket(Document):
    label: str
    deployments: int
    skills: int
    tasks: int


class TopSkill(Document):
    name: str
    installs: int


class Channel(Document):
    name: Literal["Webchat", "Telegram", "Discord", "WhatsApp", "iMessage"]
    messages: int
    last_active: Timestamp | None
    status: Literal["connected", "not-configured", "unreachable"]


class Sources(Document):
    gateway: Literal["live", "unreachable"]
    sessions: Literal["live", "unavailable"]


class Analytics(Document):
    """``GET /api/dashboard/analytics``."""

    overview: Overview
    trend: list[TrendBucket]
    top_skills: list[TopSkill]
    channels: list[Channel]
    source: Sources


class Bootstrap(Document):
    """``GET /api/dashboard/bootstrap``."""

    credits: int
    referral_code: str | None
    referral_count: int
    plan: str | None
    openclaw_url: str | None
    openclaw_instance_id: str | None
    gateway_token: str | None


class CostSummary(Document):
    total_cost: float
    total_tokens: int
    total_calls: int
    avg_cost_per_call: float


class AgentCost(Document):
    name: str
    tokens: int
    cost: float
    calls: int
    avg_cost_per_call: float
    model: str


class DailyCost(Document):
    date: str
    cost: float
    tokens: int


class ModelCost(Document):
    model: str
    percent: float
    cost: float


class Cost(Document):
    """``GET /api/dashboard/cost``; amounts in USD."""

    period: Literal["7d", "30d", "mtd"]
    summary: CostSummary
    agents: list[AgentCost]
    daily: list[DailyCost]
    model_breakdown: list[ModelCost]
    is_mock_data: Literal[False]
    plan: str
    plan_monthly_cost: int
    agent_count: int
    active_agents: int


class AgentCounts(Document):
    active: int
    total: int
    limit: int
    new_today: int


class SkillCounts(Document):
    installed: int


class TaskCounts(Document):
    total: int


class Stats(Document):
    """``GET /api/dashboard/stats``."""

    agents: AgentCounts
    skills: SkillCounts
    tasks: TaskCounts


class ServiceHealth(Document):
    name: str
    status: Literal["ok", "degraded", "down"]
    detail: str


class PlatformHealth(Document):
    """``GET /api/dashboard/health``."""

    services: list[ServiceHealth]
    timestamp: Timestamp

"""Admin Summary API (document 002): the answer of ``/api/admin/summary``."""

from typing import Literal

from contracts._base import Document, Timestamp
from contracts.dashboard import ServiceHealth


class ExpiringTrial(Document):
    id: str
    email: str
    ends_at: Timestamp
    days_left: int


class Trials(Document):
    active: int
    expiring_soon: list[ExpiringTrial]


class AgentError(Document):
    id: str
    name: str
    user_id: str
    updated_at: Timestamp
    status: Literal["error"]


class AgentSummary(Document):
    totals: dict[str, int]
    recent_errors: list[AgentError]


class AdminSummary(Document):
    """``GET /api/admin/summary``."""

    service_health: list[ServiceHealth]
    trial: Trials
    agents: AgentSummary
    timestamp: Timestamp

"""Codex-LB dashboard API (document 003): the answers of ``/api/dashboard/overview`` and ``/api/models``."""

from contracts._base import Document


class AccountCounts(Document):
    """Accounts by status; ``total`` counts also those whose status has no count of its own."""

    total: int
    active: int
    paused: int
    rate_limited: int
    quota_exceeded: int
    deactivated: int


class UsageSummary(Document):
    """What the current billing period used; ``total_cost`` in USD."""

    total_tokens: int
    total_cost: float
    input_tokens: int
    output_tokens: int


class Overview(Document):
    """``GET /api/dashboard/overview``; requests of the last 24 hours, ``error_rate`` in percent of them."""

    account_counts: AccountCounts
    usage_summary: UsageSummary
    request_count: int
    error_rate: float


class Model(Document):
    id: str
    name: str


class Models(Document):
    """``GET /api/models``."""

    models: list[Model]


class ErrorDetail(Document):
    code: str
    message: str


class Error(Document):
    """Everything that is not a success."""

    error: ErrorDetail

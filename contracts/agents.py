"""Agents API (document 004): the bodies and answers of ``/api/agents`` and ``/api/agents/{id}/*``."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from contracts._base import PRINTABLE, PRINTABLE_ASCII, Body, Document, Form, Timestamp


class Agent(Document):
    id: str
    name: str
    model: str | None
    status: str
    websocket_url: str | None
    created_at: Timestamp
    updated_at: Timestamp


class AgentList(Document):
    """``GET /api/agents``."""

    agents: list[Agent]
    count: int
    status: Literal["ok"] = "ok"


class AgentDetail(Document):
    """An agent as it runs; what the agent management service does not know of it is null."""

    id: str
    status: str
    started_at: Timestamp | None
    plan: str | None
    subdomain: str | None
    url: str | None
    openclaw_version: str | None
    verified: bool
    verification_type: str | None
    attestation_uid: str | None
    verified_at: Timestamp | None


class AgentAnswer(Document):
    """``GET /api/agents/{id}``."""

    agent: AgentDetail
    status: Literal["ok"] = "ok"


class ConfigBody(Body, RootModel[dict[str, Any]]):
    """``PUT /api/agents/{id}/config``: any JSON object."""


class ConfigAnswer(Document):
    """``GET`` (``ok``) and ``PUT`` (``updated``) of ``/api/agents/{id}/config``."""

    config: dict[str, Any]
    status: Literal["ok", "updated"]


class LogEntry(Document):
    id: str
    timestamp: Timestamp | None
    level: str
    message: str
    source: str | None
    agent_id: str


class Logs(Document):
    """``GET /api/agents/{id}/logs``; ``total`` counts also the entries beyond ``limit``."""

    logs: list[LogEntry]
    total: int
    limit: int
    status: Literal["ok"] = "ok"


class AgentMessage(Document):
    id: str
    agent_id: str
    sender: Literal["user", "agent"]
    content: str
    timestamp: Timestamp
    platform: Literal["telegram", "discord", "whatsapp", "webchat"]


class Messages(Document):
    """``GET /api/agents/{id}/messages``; ``total`` counts also the messages of the other pages."""

    messages: list[AgentMessage]
    total: int
    limit: int
    offset: int
    status: Literal["ok"] = "ok"


class LiveStats(Document):
    """What an agent's container uses, as the container engine words it; ``uptime`` in milliseconds."""

    agent_id: str
    cpu: str
    memory: str
    memory_percent: str
    network: str
    uptime: int
    uptime_formatted: str
    status: str
    pids: str
    messages_processed: Literal["N/A"] = "N/A"
    messages_per_hour: Literal["N/A"] = "N/A"
    average_response_time: Literal["N/A"] = "N/A"
    success_rate: Literal["N/A"] = "N/A"
    error_rate: Literal["N/A"] = "N/A"


class MockStats(Document):
    """What stands in for the live figures; the rates are percentages with two decimals."""

    agent_id: str
    messages_processed: int
    messages_per_hour: int
    average_response_time: int
    uptime: int
    success_rate: str
    error_rate: str
    timestamp: Timestamp


class StatsAnswer(Document):
    """``GET /api/agents/{id}/stats``."""

    stats: LiveStats | MockStats
    status: Literal["ok", "mock"]


class VerificationStatus(Document):
    """``GET /api/agents/{id}/verify``."""

    verified: bool
    verification_type: str | None
    attestation_uid: str | None
    verifier_address: str | None
    verified_at: Timestamp | None
    metadata: dict[str, Any] | None


class VerifyBody(Form):
    """``POST /api/agents/{id}/verify``; which fields are required depends on the type."""

    verification_type: Literal["eas", "coinbase", "ens", "webauthn"]
    attestation_uid: Annotated[str, Field(max_length=255), PRINTABLE] | None = None
    signature: Annotated[str, Field(max_length=16_384), PRINTABLE_ASCII] | None = None
    wallet_address: Annotated[str, Field(max_length=255), PRINTABLE] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "eas": {"attestationUid": self.attestation_uid},
            "coinbase": {"signature": self.signature},
            "webauthn": {"signature": self.signature},
            "ens": {"signature": self.signature, "walletAddress": self.wallet_address},
        }[self.verification_type]
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            message = "Missing required fields: {fields}"
            raise PydanticCustomError("documented", message, {"fields": ", ".join(missing)})
        return self


class Verified(Document):
    """``POST /api/agents/{id}/verify``."""

    success: Literal[True] = True
    verified: bool
    verification_type: str | None
    attestation_uid: str | None
    verified_at: Timestamp | None


class Removed(Document):
    """``DELETE /api/agents/{id}/verify``."""

    success: Literal[True] = True

"""Agents API (document 004): the bodies and answers of ``/api/agents/provision`` and ``/api/provision``."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from contracts._base import PRINTABLE, PRINTABLE_ASCII, Document, Form, Label, Timestamp
from contracts.agents import Agent

Token = Annotated[str, Field(max_length=4096), PRINTABLE_ASCII]
Id = Annotated[str, Field(max_length=255), PRINTABLE]


class ProvisionAgentBody(Form):
    """``POST /api/agents/provision``."""

    name: Label
    model: Literal["claude-opus-4-6", "gpt-4", "custom"] = "claude-opus-4-6"
    config: dict[str, Any] = Field(default_factory=dict)
    tier: Literal["starter", "pro", "enterprise"] | None = None


class ProvisionedAgent(Document):
    id: str
    name: str
    status: str
    websocket_url: str | None
    model: str
    created_at: Timestamp


class ProvisionAnswer(Document):
    """``POST /api/agents/provision``."""

    success: Literal[True] = True
    agent: ProvisionedAgent


class ProvisionedList(Document):
    """``GET /api/agents/provision``."""

    success: Literal[True] = True
    agents: list[Agent]
    count: int


class ChannelsBody(Form):
    """``POST /api/provision``."""

    telegram_token: Token | None = None
    telegram_user_id: Id | None = None
    whatsapp_token: Token | None = None
    whatsapp_phone_number_id: Id | None = None
    whatsapp_business_account_id: Id | None = None
    discord_bot_token: Token | None = None
    discord_guild_id: Id | None = None
    discord_channel_id: Id | None = None
    ai_provider: Literal["openrouter", "gemini", "groq", "anthropic", "openai"] = "openrouter"
    api_key: Token | None = None
    plan: Literal["free", "pro", "enterprise"] = "free"

    @model_validator(mode="after")
    def _has_a_channel(self) -> Self:
        if not (self.telegram_token or self.whatsapp_token or self.discord_bot_token):
            message = "At least one channel token required (Telegram, WhatsApp, or Discord)"
            raise PydanticCustomError("documented", message)
        return self


class ChannelProvisioned(Document):
    """``POST /api/provision``."""

    success: Literal[True] = True
    user_id: str
    subdomain: str
    url: str
    stream_key: str
    live_stream_id: str

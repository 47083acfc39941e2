"""Agents API (document 004): the bodies and answers of ``/api/agent`` (times in epoch ms) and ``/api/chat``."""

from typing import Annotated, Literal

from pydantic import Field

from contracts._base import PRINTABLE, Document, Form, Label, Timestamp

CredentialName = Literal["anthropic", "openai", "openrouter", "google", "telegram", "discord", "whatsapp"]
Message = Annotated[str, Field(max_length=32_000)]
Id = Annotated[str, Field(max_length=200), PRINTABLE]


class EndpointList(Document):
    """``GET /api/agent``."""

    api_version: str
    agentbot_version: str
    endpoints: dict[str, str]


class AgentHealth(Document):
    """``GET /api/agent?action=health``; ``uptime`` in seconds."""

    status: Literal["running", "stopped", "error", "unknown"]
    version: str
    api_version: str
    uptime: int
    model: str | None
    channels: list[str]
    skills: list[str]
    last_seen: int | None


class SessionSummary(Document):
    id: str
    status: str
    message_count: int
    created_at: int
    last_activity: int


class SessionList(Document):
    """``GET /api/agent?action=sessions``."""

    sessions: list[SessionSummary]


class SessionMessage(Document):
    role: str
    content: str
    timestamp: int


class SessionDetail(SessionSummary):
    messages: list[SessionMessage]


class SessionAnswer(Document):
    """``GET /api/agent?action=session``."""

    session: SessionDetail


class MemoryMessage(Document):
    role: str
    content: str


class Memory(Document):
    """``GET /api/agent?action=memory``."""

    memory: list[MemoryMessage]


class Skill(Document):
    id: str
    name: str
    description: str | None
    enabled: bool


class SkillList(Document):
    """``GET /api/agent?action=skills``."""

    skills: list[Skill]


class CredentialNames(Document):
    """Whether each credential has a value."""

    anthropic: bool
    openai: bool
    openrouter: bool
    google: bool
    telegram: bool
    discord: bool
    whatsapp: bool


class Credentials(Document):
    """``GET /api/agent?action=credentials``."""

    credentials: CredentialNames


class ChatBody(Form):
    """``POST /api/agent``, action ``chat``."""

    message: Message
    session_id: Id | None = None


class ChatReply(Document):
    session_id: str
    reply: str
    timestamp: int


class CreateSessionBody(Form):
    """``POST /api/agent``, action ``create-session``."""


class SessionCreated(Document):
    session_id: str
    status: Literal["active"] = "active"


class UpdateSkillBody(Form):
    """``POST /api/agent``, action ``update-skill``."""

    skill_id: Id
    enabled: bool


class SkillUpdated(Document):
    success: Literal[True] = True
    skill_id: str
    enabled: bool


class SetCredentialBody(Form):
    """``POST /api/agent``, action ``set-credential``."""

    key: CredentialName
    value: Annotated[str, Field(max_length=8192), PRINTABLE]


class CredentialSet(Document):
    success: Literal[True] = True
    key: CredentialName
    configured: Literal[True] = True


class TopicMessageBody(Form):
    """``POST /api/chat``."""

    message: Message
    topic: Label = "general"


class ChatMessageSent(Document):
    """``POST /api/chat``."""

    id: str
    message: str
    topic: str
    status: Literal["sent"] = "sent"
    timestamp: Timestamp
    reply: str


class ChatMessage(Document):
    id: str
    role: str
    content: str
    topic: str
    timestamp: Timestamp


class ChatHistory(Document):
    """``GET /api/chat``, newest last."""

    messages: list[ChatMessage]
    count: int

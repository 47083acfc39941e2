"""What was said in a user's conversations, as one list (document 004, "Get agent messages")."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeGuard, get_args

from bff.figures.channels import channel_of
from bff.figures.conversations import last_activity
from contracts.agents import AgentMessage
from upstreams.sessions import Message, Session

Platform = Literal["telegram", "discord", "whatsapp", "webchat"]

_PLATFORMS: Final = frozenset(get_args(Platform))
_SENDERS: Final[dict[str, Literal["user", "agent"]]] = {"user": "user", "assistant": "agent"}
_MAIN: Final = "main"
_YEAR_10000_MS: Final = 253_402_300_800_000


class Conversation(NamedTuple):
    session: Session
    messages: Sequence[Message]


def platform_of(session: Session) -> Platform | None:
    """Return the documented channel that the session belongs to, None for one of another or of none."""
    name = (channel_of(session) or "").lower()
    return name if _is_platform(name) else None


def _is_platform(name: str) -> TypeGuard[Platform]:
    return name in _PLATFORMS


def of_agent(sessions: Iterable[Session], agent_id: str) -> list[Session]:
    """Return the sessions of the agent: those whose key names it, or the gateway's main one, or none at all."""
    return [session for session in sessions if _agent_in(session.key) in {agent_id.lower(), _MAIN, None}]


def _agent_in(key: str) -> str | None:
    kind, _, rest = key.partition(":")
    return rest.partition(":")[0].lower() if kind.lower() == "agent" else None


def spoken(messages: Iterable[Message]) -> list[Message]:
    """Return what the user and the agent said: nothing of tools, and nothing without words."""
    return [message for message in messages if message.role in _SENDERS and message.text]


def page(
    conversations: Iterable[Conversation], agent_id: str, *, limit: int, offset: int
) -> tuple[list[AgentMessage], int]:
    """Return ``limit`` messages of people and the agent from ``offset`` on, newest first, and how many there are.

    Each is numbered from the oldest one on.
    """
    said = [
        (moment_of(message, session), platform, message)
        for session, history in conversations
        if (platform := platform_of(session)) is not None
        for message in spoken(history)
    ]
    said.sort(key=lambda each: each[0])
    newest = len(said) - 1 - offset
    numbers = range(newest, max(newest - limit, -1), -1)
    return [_message(number, *said[number], agent_id) for number in numbers], len(said)


def _message(number: int, moment: datetime, platform: Platform, message: Message, agent_id: str) -> AgentMessage:
    return AgentMessage(
        id=f"msg-{number}",
        agent_id=agent_id,
        sender=_SENDERS[message.role],
        content=message.text,
        timestamp=moment,
        platform=platform,
    )


def moment_of(message: Message, session: Session | None = None) -> datetime:
    """Return when it was said; when the gateway does not tell, when its session was last active."""
    known = (message.timestamp, last_activity(session) if session else None)
    stamp = next((each for each in known if each is not None and 0 <= each < _YEAR_10000_MS), 0)
    return datetime.fromtimestamp(stamp / 1000, UTC)

"""The conversations of a user's agent (document 004, "List sessions", "Get session", "Memory")."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from bff.clients import Clients
from bff.endpoints.agent_status import PATH
from bff.endpoints.sources import own_sessions
from bff.figures import conversations
from bff.figures.conversations import key_of, session_conversation, session_id
from bff.figures.messages import moment_of, spoken
from bff.plans import Access, Ask, Got, NoQuery, Plan, Refused, required
from contracts import interaction
from upstreams.failure import UpstreamFailure
from upstreams.sessions import Message

_MAX_ID_CHARS: Final = 200
_MAX_MESSAGES: Final = 1000
_MEMORY_MESSAGES: Final = 10
_MEMORY_CHARS: Final = 100


class SessionQuery(NamedTuple):
    session_id: str

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(parameters.get("sessionId", "")[: _MAX_ID_CHARS + 1])


class Found(NamedTuple):
    summary: interaction.SessionSummary
    messages: tuple[Message, ...]


async def _session(up: Clients, ask: Ask[SessionQuery]) -> Found:
    name, user_id = ask.query.session_id, ask.caller.user_id
    if not name:
        raise Refused(400, "sessionId is required")
    sessions = await own_sessions(up, ask)
    session = next((each for each in sessions if session_id(user_id, each) == name), None)
    begun = conversations.began_at(user_id, name)
    if session is None and begun is None:
        raise Refused(404, "Session not found")
    key = session.key if session else key_of(session_conversation(user_id, name))
    messages = await _history(up, ask, key)
    if session is not None:
        return Found(conversations.summary(user_id, session, ask.now), messages)
    assert begun is not None
    return Found(_new(name, begun), messages)


def _new(name: str, begun: int) -> interaction.SessionSummary:
    """Return a session in which nothing has been said that the gateway would list."""
    return interaction.SessionSummary(
        id=name, status="active", message_count=0, created_at=begun, last_activity=begun
    )


async def _history(up: Clients, ask: Ask[SessionQuery], key: str) -> tuple[Message, ...]:
    try:
        return await up.sessions.history(ask.caller.account, key, _MAX_MESSAGES)
    except UpstreamFailure as failure:
        if failure.status == 403:  # the gateway does not show it: to the caller there is no such session
            raise Refused(404, "Session not found") from failure
        raise


async def _memory(up: Clients, ask: Ask[NoQuery]) -> tuple[Message, ...]:
    sessions = await own_sessions(up, ask)
    if not sessions:
        return ()
    [newest] = await up.sessions.histories(ask.caller.account, [sessions[0].key], _MAX_MESSAGES)
    return newest


SESSIONS = required("sessions", own_sessions)
SESSION = required("sessions", _session)
MEMORY = required("sessions", _memory)


def sessions(ask: Ask[NoQuery], got: Got) -> interaction.SessionList:
    listed = [conversations.summary(ask.caller.user_id, session, ask.now) for session in got[SESSIONS]]
    return interaction.SessionList(sessions=listed)


def session(_ask: Ask[SessionQuery], got: Got) -> interaction.SessionAnswer:
    found = got[SESSION]
    said = spoken(found.messages)
    summary = found.summary
    return interaction.SessionAnswer(
        session=interaction.SessionDetail(
            id=summary.id,
            status=summary.status,
            message_count=max(summary.message_count, len(said)),
            created_at=summary.created_at,
            last_activity=summary.last_activity,
            messages=[
                interaction.SessionMessage(
                    role=message.role,
                    content=message.text,
                    timestamp=int(moment_of(message).timestamp() * 1000),
                )
                for message in said
            ],
        )
    )


def memory(_ask: Ask[NoQuery], got: Got) -> interaction.Memory:
    messages = got[MEMORY]
    last = spoken(messages)[-_MEMORY_MESSAGES:]
    return interaction.Memory(
        memory=[
            interaction.MemoryMessage(role=message.role, content=message.text[:_MEMORY_CHARS]) for message in last
        ]
    )


SESSION_LIST = Plan(
    "agent.sessions",
    path=PATH,
    action="sessions",
    document="004",
    query=NoQuery,
    answer=interaction.SessionList,
    access=Access.SESSION,
    sources=(SESSIONS,),
    merge=sessions,
    failed="Internal error",
)

SESSION_DETAIL = Plan(
    "agent.session",
    path=PATH,
    action="session",
    document="004",
    query=SessionQuery,
    answer=interaction.SessionAnswer,
    access=Access.SESSION,
    sources=(SESSION,),
    merge=session,
    failed="Internal error",
)

AGENT_MEMORY = Plan(
    "agent.memory",
    path=PATH,
    action="memory",
    document="004",
    query=NoQuery,
    answer=interaction.Memory,
    access=Access.SESSION,
    sources=(MEMORY,),
    merge=memory,
    failed="Internal error",
)

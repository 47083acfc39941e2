"""What was said to and by an agent, on all its channels (document 004, "Get agent messages")."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from bff.clients import Clients
from bff.endpoints.owned import AGENT
from bff.endpoints.sources import own_sessions
from bff.figures.messages import Conversation, of_agent, page, platform_of
from bff.figures.paging import limit_of, offset_of
from bff.plans import Access, Ask, Got, Plan, required
from contracts import agents

_MAX_MESSAGES: Final = 1000  # of one conversation


class MessagesQuery(NamedTuple):
    agent_id: str
    limit: int
    offset: int

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(parameters["agent_id"], limit_of(parameters), offset_of(parameters))


async def _conversations(up: Clients, ask: Ask[MessagesQuery]) -> list[Conversation]:
    seen = of_agent(await own_sessions(up, ask), ask.query.agent_id)
    shown = [session for session in seen if platform_of(session)]
    histories = await up.sessions.histories(ask.caller.account, [session.key for session in shown], _MAX_MESSAGES)
    return [Conversation(*each) for each in zip(shown, histories, strict=True)]


CONVERSATIONS = required("sessions", _conversations)


def agent_messages(ask: Ask[MessagesQuery], got: Got) -> agents.Messages:
    agent_id, limit, offset = ask.query
    messages, total = page(got[CONVERSATIONS], agent_id, limit=limit, offset=offset)
    return agents.Messages(messages=messages, total=total, limit=limit, offset=offset)


GET_MESSAGES = Plan(
    "agents.messages",
    path="/api/agents/{agent_id}/messages",
    document="004",
    query=MessagesQuery,
    answer=agents.Messages,
    access=Access.SESSION,
    subject=AGENT,
    sources=(CONVERSATIONS,),
    merge=agent_messages,
    failed="Failed to fetch agent messages",
)

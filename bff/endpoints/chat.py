"""Talking to the user's agent by topic (document 004, "Send message" and "List messages")."""

import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from bff.clients import Clients
from bff.figures.conversations import key_of, topic_conversation
from bff.figures.messages import moment_of, spoken
from bff.plans import Access, Action, Ask, Got, NoQuery, Order, Plan, Quota, required
from contracts import interaction
from contracts.interaction import TopicMessageBody
from upstreams.sessions import Message

_DEFAULT_TOPIC: Final = "general"
_MAX_TOPIC_CHARS: Final = 100
_MAX_MESSAGES: Final = 200

# A chat may take a minute: more at once and a few users would hold every place of a gateway that many share.
PER_USER: Final = Quota("chat_per_minute", by="user", at_once=4)
# What is said becomes a conversation of the user's gateway, which analytics count.
CHANGES: Final = ("dashboard.analytics",)


class TopicQuery(NamedTuple):
    topic: str

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        topic = parameters.get("topic", "").strip()
        return cls(topic if topic and len(topic) <= _MAX_TOPIC_CHARS and topic.isprintable() else _DEFAULT_TOPIC)


async def converse(up: Clients, order: Order[NoQuery, object], conversation: str, message: str) -> str:
    """Return what the agent replies, told piece by piece where that is wanted. Raises UpstreamFailure."""
    account = order.caller.account
    if order.tell is None:
        return await up.chat.reply(account, conversation, message)
    return await up.chat.stream(account, conversation, message, order.tell)


async def send(up: Clients, order: Order[NoQuery, TopicMessageBody]) -> interaction.ChatMessageSent:
    topic = order.body.topic
    conversation = topic_conversation(order.caller.user_id, topic)
    reply = await converse(up, order, conversation, order.body.message)
    return interaction.ChatMessageSent(
        id=f"msg_{secrets.token_hex(12)}",
        message=order.body.message,
        topic=topic,
        timestamp=order.now,
        reply=reply,
    )


async def _said(up: Clients, ask: Ask[TopicQuery]) -> tuple[Message, ...]:
    key = key_of(topic_conversation(ask.caller.user_id, ask.query.topic))
    return await up.sessions.history(ask.caller.account, key, _MAX_MESSAGES)


HISTORY = required("sessions", _said)


def history(ask: Ask[TopicQuery], got: Got) -> interaction.ChatHistory:
    said = got[HISTORY]
    listed = [
        interaction.ChatMessage(
            id=f"msg-{number}",
            role=message.role,
            content=message.text,
            topic=ask.query.topic,
            timestamp=moment_of(message),
        )
        for number, message in enumerate(spoken(said))
    ]
    return interaction.ChatHistory(messages=listed, count=len(listed))


SEND = Action(
    "chat.send",
    method="POST",
    path="/api/chat",
    document="004",
    query=NoQuery,
    body=TopicMessageBody,
    answer=interaction.ChatMessageSent,
    access=Access.SESSION,
    asks=("gateway",),
    perform=send,
    changes=CHANGES,
    failed="Failed to send message",
    quota=PER_USER,
    streams=True,
)

MESSAGES = Plan(
    "chat.messages",
    path="/api/chat",
    document="004",
    query=TopicQuery,
    answer=interaction.ChatHistory,
    access=Access.SESSION,
    sources=(HISTORY,),
    merge=history,
    failed="Failed to fetch messages",
)

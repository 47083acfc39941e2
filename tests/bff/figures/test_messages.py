"""What was said in a user's conversations, as one list."""

import pytest

from bff.figures.messages import Conversation, of_agent, page, platform_of
from upstreams.sessions import Message, Session

TELEGRAM = Session("agent:main:telegram:direct:1", updated_at=1_800_000_000_000)
DISCORD = Session("agent:main:discord:channel:2", updated_at=1_800_000_000_000)


@pytest.mark.parametrize(
    ("key", "channel", "platform"),
    [
        ("agent:main:telegram:direct:555000111", None, "telegram"),
        ("agent:main:discord:channel:98765", None, "discord"),
        ("agent:main:whatsapp:direct:+1555", None, "whatsapp"),
        ("agent:main:webchat:dm:1", None, "webchat"),
        ("agent:main:main", None, "webchat"),
        ("agent:main:openai-user:bff-1", "unknown", "webchat"),
        ("agent:main:x", "telegram", "telegram"),
        ("agent:main:slack:channel:c1", "slack", None),
        ("agent:main:cron:daily", None, None),
        ("agent:main:imessage:1", None, None),
    ],
)
def test_the_channel_of_a_conversation(key, channel, platform):
    assert platform_of(Session(key, channel=channel)) == platform


def test_newest_first_and_numbered_from_the_oldest_on():
    said = [
        Conversation(TELEGRAM, [Message("user", "one", 1_000), Message("assistant", "three", 3_000)]),
        Conversation(DISCORD, [Message("user", "two", 2_000)]),
    ]
    listed, total = page(said, "a1", limit=50, offset=0)
    assert total == 3
    assert [(each.id, each.sender, each.content, each.platform) for each in listed] == [
        ("msg-2", "agent", "three", "telegram"),
        ("msg-1", "user", "two", "discord"),
        ("msg-0", "user", "one", "telegram"),
    ]
    assert {each.agent_id for each in listed} == {"a1"}


@pytest.mark.parametrize(
    "message",
    [Message("toolResult", "result", 1), Message("system", "be brief", 1), Message("user", "", 1)],
    ids=lambda message: message.role,
)
def test_what_nobody_said_is_left_out(message):
    assert page([Conversation(TELEGRAM, [message])], "a1", limit=50, offset=0) == ([], 0)


@pytest.mark.parametrize(
    ("stamp", "shown"),
    [(5_000, 5_000), (None, 1_800_000_000_000), (-1, 1_800_000_000_000), (1e18, 1_800_000_000_000)],
)
def test_without_a_time_of_its_own_a_message_has_that_of_its_conversation(stamp, shown):
    [message], _ = page([Conversation(TELEGRAM, [Message("user", "hi", stamp)])], "a1", limit=50, offset=0)
    assert message.timestamp.timestamp() * 1000 == shown


def test_another_agents_conversations_are_not_this_ones():
    sessions = [Session(key) for key in ("agent:main:main", "agent:A1:main", "agent:a2:main", "main", "a2:main")]
    assert [session.key for session in of_agent(sessions, "a1")] == [
        "agent:main:main",
        "agent:A1:main",
        "main",
        "a2:main",
    ]


@pytest.mark.parametrize(
    ("limit", "offset", "shown"),
    [(2, 0, "43"), (2, 1, "32"), (2, 4, "0"), (2, 5, ""), (50, 3, "10"), (1, 4, "0"), (1, 10**9, "")],
)
def test_a_page_of_them(limit, offset, shown):
    said = Conversation(TELEGRAM, [Message("user", str(number), number) for number in range(5)])
    listed, total = page([said], "a1", limit=limit, offset=offset)
    assert ("".join(message.content for message in listed), total) == (shown, 5)
    assert [message.id for message in listed] == [f"msg-{number}" for number in shown]

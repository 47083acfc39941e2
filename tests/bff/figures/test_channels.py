"""Which channel a session belongs to, and what its sessions say about a channel."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.figures.channels import channel_of, channels
from upstreams.sessions import Session

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
CAPTURES = Path(__file__).parents[2] / "captures" / "openclaw"

WEBCHAT, TELEGRAM, DISCORD, WHATSAPP, IMESSAGE = "Webchat", "Telegram", "Discord", "WhatsApp", "iMessage"
NAMES = [WEBCHAT, TELEGRAM, DISCORD, WHATSAPP, IMESSAGE]


def captured_sessions(name: str) -> tuple[Session, ...]:
    body = (CAPTURES / name).read_text().rpartition("\n\n")[2]
    return msgspec.convert(json.loads(body)["result"]["details"]["sessions"], tuple[Session, ...])


def decoded(**fields: object) -> Session:
    return msgspec.json.decode(json.dumps({"key": "agent:main:telegram:direct:1", **fields}), type=Session)


def by_name(sessions, gateway_up=True):
    return {channel.name: channel for channel in channels(sessions, gateway_up)}


@pytest.mark.parametrize(
    ("key", "channel"),
    [
        ("agent:main:main", WEBCHAT),
        ("agent:main:openai:60c15e9c", WEBCHAT),
        ("agent:main:openai-user:someone", WEBCHAT),
        ("agent:main:openai-user:telegram", WEBCHAT),
        ("agent:main:openresponses-user:someone", WEBCHAT),
        ("agent:main:direct:555", WEBCHAT),
        ("agent:main:dm:555", WEBCHAT),
        ("agent:main:webchat:dm:abc", WEBCHAT),
        ("agent:telegram:main", WEBCHAT),
        ("agent:cron:main", WEBCHAT),
        ("main", WEBCHAT),
        ("agent:main:telegram:direct:555000111", TELEGRAM),
        ("agent:main:telegram:group:-1001234567890", TELEGRAM),
        ("Agent:Main:Telegram:direct:1", TELEGRAM),
        ("agent::telegram:direct:1", TELEGRAM),
        ("telegram:direct:1", TELEGRAM),
        ("agent:main:discord:channel:987", DISCORD),
        ("agent:main:whatsapp:direct:+15550001111", WHATSAPP),
        ("agent:main:imessage:direct:+15550001111", IMESSAGE),
        ("agent:main:slack:channel:c0123abcd", None),
        ("agent:main:cron:9d1c5a2e-daily-report", None),
        ("agent:main:subagent:6f2b1f60", None),
        ("cron:nightly", None),
        ("agent:main:unheard-of:telegram", None),
        ("agent:telegram", None),
        ("agent:main:", None),
        ("agent:", None),
        ("agent", None),
        ("", None),
        (":telegram:main", None),
        (":" * 10_000, None),
        ("agent:" + ":" * 10_000 + "telegram", None),
    ],
)
@pytest.mark.parametrize("field", [None, "", "unknown", "UNKNOWN "])
def test_the_key_names_the_channel(key, field, channel):
    assert channel_of(Session(key=key, channel=field, last_channel=field)) == channel


@pytest.mark.parametrize(
    ("key", "channel", "last_channel", "belongs"),
    [
        pytest.param("agent:main:discord:1", "telegram", "telegram", DISCORD, id="the key before the field"),
        pytest.param("agent:main:cron:1", "telegram", "telegram", None, id="a cron key whatever the channel"),
        pytest.param("agent:main:subagent:1", "webchat", None, None, id="a subagent key whatever the channel"),
        pytest.param("agent:main:slack:1", "unknown", "telegram", None, id="another channel's key"),
        pytest.param("agent:main:main", "telegram", None, TELEGRAM, id="the field where the key is silent"),
        pytest.param("agent:main:main", "Telegram", None, TELEGRAM, id="in any case"),
        pytest.param("agent:main:topic-7", "webchat", None, WEBCHAT, id="the field of an odd key"),
        pytest.param("agent:main:main", "unknown", "whatsapp", WHATSAPP, id="the last channel of an unknown one"),
        pytest.param("agent:main:main", None, "imessage", IMESSAGE, id="the last channel without one"),
        pytest.param("agent:main:main", "telegram", "discord", TELEGRAM, id="the channel before the last one"),
        pytest.param("agent:main:main", "slack", "telegram", None, id="another channel"),
        pytest.param("agent:main:main", "unknown", "signal", None, id="another last channel"),
    ],
)
def test_the_fields_name_it_where_the_key_does_not(key, channel, last_channel, belongs):
    assert channel_of(Session(key=key, channel=channel, last_channel=last_channel)) == belongs


def test_a_gateways_whole_list():
    sessions = captured_sessions("sessions_list-visibility-all-2026.4.2.http")
    assert [channel_of(session) for session in sessions] == [
        *[WEBCHAT] * 5,
        TELEGRAM,
        None,  # a subagent
        TELEGRAM,
        None,  # cron
        DISCORD,
        WHATSAPP,
        None,  # slack
        WEBCHAT,
    ]
    answer = by_name(sessions)
    assert list(answer) == NAMES
    assert answer[IMESSAGE].status == "not-configured"
    assert {channel.status for channel in answer.values() if channel.name != IMESSAGE} == {"connected"}
    shown = json.loads(answer[TELEGRAM].model_dump_json(by_alias=True))
    assert shown == {
        "name": "Telegram", "messages": 0, "lastActive": "2026-11-21T07:32:40.564Z", "status": "connected",
    }  # fmt: skip


@pytest.mark.parametrize("gateway_up", [True, False], ids=["gateway up", "gateway down"])
@pytest.mark.parametrize("sessions", [None, (), (Session(key="agent:main:slack:1", message_count=9),)])
def test_without_a_counted_session_nothing_is_active(sessions, gateway_up):
    answer = channels(sessions, gateway_up)
    assert [channel.name for channel in answer] == NAMES
    assert [channel.status for channel in answer] == [
        "connected" if gateway_up else "unreachable",
        *["not-configured"] * 4,
    ]
    assert {(channel.messages, channel.last_active) for channel in answer} == {(0, None)}


def test_a_gateway_that_is_down_makes_webchat_unreachable_and_nothing_else():
    answer = by_name([decoded(key="agent:main:main", messageCount=3), decoded(messageCount=4)], gateway_up=False)
    assert (answer[WEBCHAT].status, answer[WEBCHAT].messages) == ("unreachable", 3)
    assert (answer[TELEGRAM].status, answer[TELEGRAM].messages) == ("connected", 4)


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        pytest.param({"messageCount": 7, "turns": 3, "messages": [{}]}, 7, id="the message count first"),
        pytest.param({"messageCount": 0, "turns": 3, "messages": [{}]}, 0, id="also when it is zero"),
        pytest.param({"turns": 3, "messages": [{}]}, 3, id="then the turns"),
        pytest.param({"turns": 0, "messages": [{}]}, 0, id="also when they are zero"),
        pytest.param({"messages": [{}, "x", None]}, 3, id="then the messages sent along"),
        pytest.param({}, 0, id="nothing"),
    ],
)
def test_messages_of_a_session(fields, messages):
    assert by_name([decoded(**fields)])[TELEGRAM].messages == messages


def test_messages_of_a_channel_add_up():
    sessions = [decoded(messageCount=2), decoded(turns=5), decoded(key="agent:main:discord:1", turns=100)]
    assert by_name(sessions)[TELEGRAM].messages == 7


NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


@pytest.mark.parametrize(
    ("sessions", "newest"),
    [
        pytest.param([{"updatedAt": NOON_MS}], NOON, id="epoch milliseconds"),
        pytest.param([{"updatedAt": NOON_MS + 0.25}], NOON.replace(microsecond=250), id="with a fraction"),
        pytest.param([{"lastActivity": "2026-04-04T12:00:00Z"}], NOON, id="ISO"),
        pytest.param([{"lastActivity": "2026-04-04T14:00:00+02:00"}], NOON, id="ISO elsewhere"),
        pytest.param([{"lastActivity": "2026-04-04T12:00:00"}], NOON, id="ISO without a zone is UTC"),
        pytest.param(
            [{"lastActivity": "2026-04-04T11:00:00Z", "updatedAt": NOON_MS}], NOON, id="the newer of both"
        ),
        pytest.param([{"updatedAt": NOON_MS}, {"updatedAt": NOON_MS - 1}, {}], NOON, id="the newest of all"),
        pytest.param([{}], None, id="unknown"),
        *[
            pytest.param([{"updatedAt": absurd}], None, id=f"absurd {absurd}")
            for absurd in (-1, 0, 1, 946_684_799_999, 253_402_300_800_000, -1e300, 1e300, 1.7976931348623157e308)
        ],
        pytest.param([{"lastActivity": "1999-12-31T23:59:59Z"}], None, id="before 2000"),
        pytest.param([{"lastActivity": "0001-01-01T00:00:00+14:00"}], None, id="before the calendar"),
        pytest.param([{"lastActivity": "9999-12-31T23:59:59-14:00"}], None, id="after the calendar"),
        pytest.param(
            [{"updatedAt": 1e300, "lastActivity": "2026-04-04T12:00:00Z"}], NOON, id="absurd beside good"
        ),
        pytest.param(
            [{"updatedAt": 253_402_300_799_999}],
            datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
            id="the last millisecond of 9999",
        ),
    ],
)
def test_a_channel_was_last_active_when_its_newest_session_was(sessions, newest):
    assert by_name([decoded(**fields) for fields in sessions])[TELEGRAM].last_active == newest


SEGMENTS = st.sampled_from(["agent", "main", "telegram", "slack", "cron", "direct", "openai", "", "x", "İ"])
WORDS = st.none() | st.sampled_from(["telegram", "webchat", "slack", "unknown", ""]) | st.text(max_size=5)
SESSIONS = st.builds(
    Session,
    key=st.lists(SEGMENTS, max_size=5).map(":".join) | st.text(max_size=20),
    channel=WORDS,
    last_channel=WORDS,
    updated_at=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    last_activity=st.none() | st.datetimes(timezones=st.none() | st.timezones()),
    message_count=st.none() | st.integers(0, 2**53 - 1),
    turns=st.none() | st.integers(0, 2**53 - 1),
)


@PROPERTY
@given(st.none() | st.lists(SESSIONS, max_size=8), st.booleans())
def test_any_list_of_sessions_makes_the_five_channels(sessions, gateway_up):
    answer = channels(sessions, gateway_up)
    assert [channel.name for channel in answer] == NAMES
    counted = sum(channel_of(session) is not None for session in sessions or ())
    assert counted or not any(channel.messages for channel in answer)
    assert all(channel.model_dump_json(by_alias=True) for channel in answer)

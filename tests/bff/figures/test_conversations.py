"""Whose a gateway's conversations are, and what they are called."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.figures.conversations import (
    began_at,
    key_of,
    new_session_id,
    newest_begun_here,
    session_conversation,
    session_id,
    summary,
    topic_conversation,
    visible,
)
from upstreams.sessions import Session

NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
TELEGRAM = Session("agent:main:telegram:direct:555000111", session_id="gateway-id", updated_at=NOON_MS - 1)


def begun_by(user_id, *, ago=timedelta(0), chance="0badcafe", **fields):
    """Return a session's id and the session that the gateway makes of it."""
    name = new_session_id(user_id, NOON - ago, chance)
    seen = NOON_MS - ago.total_seconds() * 1000
    return name, Session(key_of(session_conversation(user_id, name)), updated_at=seen, **fields)


def test_a_session_says_when_it_began_and_whose_it_is():
    name = new_session_id("ada", NOON, "0badcafe")
    assert began_at("ada", name) == NOON_MS
    assert began_at("bob", name) is None
    assert began_at("ada2", name) is None


@pytest.mark.parametrize("wrong", ["", "sess_", "sess_abc123", "x" * 200, "sess_" + "0" * 27, "sess_" + "g" * 27])
def test_what_nobody_began_is_no_session(wrong):
    assert began_at("ada", wrong) is None


def test_a_changed_id_is_no_session():
    name = new_session_id("ada", NOON, "0badcafe")
    changed = [name[:at] + ("0" if name[at] != "0" else "1") + name[at + 1 :] for at in range(5, len(name))]
    assert [began_at("ada", each) for each in changed] == [None] * len(changed)


@given(st.text(), st.text(), st.text())
def test_no_two_users_have_one_conversation(one, other, topic):
    mine, theirs = topic_conversation(one, topic), topic_conversation(other, topic)
    assert (mine == theirs) == (one == other)
    name = new_session_id(one, NOON, "00000000")
    assert (session_conversation(one, name) == session_conversation(other, name)) == (one == other)


@given(st.text(max_size=100), st.text(max_size=100))
def test_what_the_gateway_is_told_is_plain(user_id, topic):
    name = topic_conversation(user_id, topic)
    assert name.isascii()
    assert name.replace("-", "").isalnum()
    assert name == name.lower()


def test_the_users_own_token_shows_everything_newest_first():
    _, older = begun_by("ada", ago=timedelta(hours=1))
    assert visible("ada", [older, TELEGRAM], private=True) == [TELEGRAM, older]


def test_the_shared_token_shows_only_what_the_user_began():
    _, mine = begun_by("ada")
    _, theirs = begun_by("bob")
    longer = Session(key_of(topic_conversation("ada2", "general")), updated_at=NOON_MS)
    posing = Session(mine.key.replace(":openai-user:", ":telegram:"), updated_at=NOON_MS)
    inside = Session(f"agent:main:openai-user:x-{topic_conversation('ada', 'general')}", updated_at=NOON_MS)
    assert visible("ada", [theirs, TELEGRAM, mine, longer, posing, inside], private=False) == [mine]


def test_what_a_session_is_called():
    name, mine = begun_by("ada")
    assert session_id("ada", mine) == name
    assert session_id("bob", mine) == mine.key
    assert session_id("ada", TELEGRAM) == "gateway-id"
    topic = Session(key_of(topic_conversation("ada", "general")), session_id="of-the-topic")
    assert session_id("ada", topic) == "of-the-topic"


def test_a_summary():
    name, mine = begun_by("ada", ago=timedelta(hours=23), message_count=4)
    told = summary("ada", mine, NOON)
    assert told.model_dump() == {
        "id": name,
        "status": "active",
        "messageCount": 4,
        "createdAt": NOON_MS - 23 * 3_600_000,
        "lastActivity": NOON_MS - 23 * 3_600_000,
    }


@pytest.mark.parametrize(
    ("session", "status", "created", "last"),
    [
        (
            Session("k", updated_at=NOON_MS - 25 * 3_600_000),
            "idle",
            NOON_MS - 25 * 3_600_000,
            NOON_MS - 25 * 3_600_000,
        ),
        (Session("k", updated_at=NOON_MS, started_at=NOON_MS - 5), "active", NOON_MS - 5, NOON_MS),
        (Session("k"), "idle", 0, 0),
    ],
)
def test_a_summary_of_what_the_gateway_tells_less_of(session, status, created, last):
    told = summary("ada", session, NOON)
    assert (told.status, told.created_at, told.last_activity) == (status, created, last)


def test_the_session_to_go_on_with():
    old, older = begun_by("ada", ago=timedelta(hours=30))
    name, mine = begun_by("ada", ago=timedelta(hours=2))
    _, theirs = begun_by("bob")
    assert newest_begun_here("ada", [TELEGRAM, theirs, mine, older], NOON) == name
    assert newest_begun_here("ada", [TELEGRAM, theirs, older], NOON) is None
    assert old != name

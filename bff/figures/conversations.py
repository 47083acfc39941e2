"""Whose a gateway's conversations are, what they are called here, and what was said in them.

Every conversation begun here is one ``user`` of the gateway's chat and so one session of it, with the key
``agent:<agent>:openai-user:<user>``. The ``user`` begins with a hash of the platform's user id: a gateway that
many share keeps their conversations apart, and whose a key is shows in the key itself.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bff.figures.channels import activity, message_count
from contracts.interaction import SessionSummary
from upstreams.sessions import Session

_TAG_CHARS: Final = 16
_PREFIX: Final = "openai-user"
_SESSION: Final = re.compile(r"sess_([0-9a-f]{11})([0-9a-f]{8})([0-9a-f]{8})")
_ACTIVE_WITHIN: Final = timedelta(days=1)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _owner(user_id: str) -> str:
    return f"bff-{_hash('conversations', user_id)[:_TAG_CHARS]}-"


def new_session_id(user_id: str, now: datetime, chance: str) -> str:
    """Return the id of a new session of the user; ``chance`` is 8 random hex digits.

    It says when the session began and, by a checksum, whose it is: nothing needs to be kept for it to be found
    again, and another user's is no session of the caller's.
    """
    begun = f"{int(now.timestamp() * 1000):011x}"
    return f"sess_{begun}{chance}{_check(user_id, begun + chance)}"


def _check(user_id: str, rest: str) -> str:
    return _hash("session", user_id, rest)[:8]


def began_at(user_id: str, session_id: str) -> int | None:
    """Return when the user's session began (epoch ms), None for what is no session that the user began here."""
    match = _SESSION.fullmatch(session_id)
    if match is None or match[3] != _check(user_id, match[1] + match[2]):
        return None
    return int(match[1], 16)


def session_conversation(user_id: str, session_id: str) -> str:
    """Return the gateway's ``user`` for a session of the user's."""
    return _owner(user_id) + session_id.removeprefix("sess_")


def topic_conversation(user_id: str, topic: str) -> str:
    """Return the gateway's ``user`` for one of the user's topics."""
    return f"{_owner(user_id)}topic-{_hash('topic', topic)[:_TAG_CHARS]}"


def key_of(conversation: str) -> str:
    """Return the gateway's session key for a ``user`` of its chat."""
    return f"agent:main:{_PREFIX}:{conversation}"


def visible(user_id: str, sessions: Iterable[Session], *, private: bool) -> list[Session]:
    """Return the conversations that the user may see, newest first.

    Asked for with a token of the user's own (``private``) they are all the user's. The shared one opens
    everybody's: of what it shows, only conversations that the user began here are known to be the user's.
    """
    own = [each for each in sessions if private or _is_begun_by(user_id, each.key)]
    return sorted(own, key=lambda session: last_activity(session) or 0, reverse=True)


def _is_begun_by(user_id: str, key: str) -> bool:
    kind, _, conversation = "".join(key.split(":", 2)[2:]).partition(":")
    return kind == _PREFIX and conversation.startswith(_owner(user_id))


def session_id(user_id: str, session: Session) -> str:
    """Return what the session is called here: as it was begun here, else as the gateway calls it."""
    begun = f"sess_{session.key.rpartition(_owner(user_id))[2]}"
    if _is_begun_by(user_id, session.key) and began_at(user_id, begun) is not None:
        return begun
    return session.session_id or session.key


def last_activity(session: Session) -> int | None:
    """Return when the session was last active (epoch ms), None when the gateway does not tell."""
    moments = activity(session)
    return _milliseconds(max(moments)) if moments else None


def summary(user_id: str, session: Session, now: datetime) -> SessionSummary:
    """Return the session as answers list it; it is active when something was said within the last day."""
    name = session_id(user_id, session)
    last = last_activity(session)
    begun = began_at(user_id, name)
    started = int(session.started_at) if session.started_at else None
    known = next((each for each in (begun, started, last) if each is not None), 0)
    recent = last is not None and last >= _milliseconds(now - _ACTIVE_WITHIN)
    return SessionSummary(
        id=name,
        status="active" if recent else "idle",
        message_count=message_count(session),
        created_at=known,
        last_activity=known if last is None else last,
    )


def newest_begun_here(user_id: str, sessions: Sequence[Session], now: datetime) -> str | None:
    """Return the id of the newest active session that the user began here, None without one."""
    listed = (summary(user_id, session, now) for session in sessions)
    return next((s.id for s in listed if s.status == "active" and began_at(user_id, s.id) is not None), None)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

"""Activity per channel, out of a gateway's sessions (document 000, "Dashboard analytics", ``channels``)."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from contracts.dashboard import Channel
from upstreams.sessions import Session

ChannelName = Literal["Webchat", "Telegram", "Discord", "WhatsApp", "iMessage"]

_BY_WORD: dict[str, ChannelName] = {name.lower(): name for name in get_args(ChannelName)}

# What a key may begin with and then belongs to none of the documented channels, whatever else the session says.
_ELSEWHERE = frozenset(
    {"cron", "subagent", "googlechat", "irc", "line", "matrix", "mattermost", "msteams", "signal", "slack"}
)
_DIRECT = frozenset({"openai", "openai-user", "openresponses", "openresponses-user", "direct", "dm"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CREDIBLE_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
_YEAR_10000_MS = 253_402_300_800_000


def channels(sessions: Sequence[Session] | None, gateway_up: bool) -> list[Channel]:
    """Return the five documented channels in the documented order. ``None`` as sessions: no activity is known."""
    belonging: defaultdict[ChannelName | None, list[Session]] = defaultdict(list)
    for session in sessions or ():
        belonging[channel_of(session)].append(session)
    return [_channel(name, belonging[name], gateway_up) for name in _BY_WORD.values()]


def channel_of(session: Session) -> ChannelName | None:
    """Return the channel that the session's key names, else its fields; ``None`` for one that is not counted."""
    rest = _without_agent(session.key)
    first = rest.partition(":")[0].lower()
    if first in _ELSEWHERE:
        return None
    if first in _BY_WORD:
        return _BY_WORD[first]
    for word in (_word(session.channel), _word(session.last_channel)):
        if word:
            return _BY_WORD.get(word)
    return "Webchat" if rest.lower() == "main" or first in _DIRECT else None


def _without_agent(key: str) -> str:
    """Return what follows ``agent:<agent id>:``. An agent may be named like a channel, so its id is no hint."""
    if not key.lower().startswith("agent:"):
        return key
    return "".join(key.split(":", 2)[2:])


def _word(field: str | None) -> str:
    word = (field or "").strip().lower()
    return "" if word == "unknown" else word


def _channel(name: ChannelName, sessions: Sequence[Session], gateway_up: bool) -> Channel:
    moments = [moment for session in sessions for moment in activity(session)]
    return Channel(
        name=name,
        messages=sum(message_count(session) for session in sessions),
        last_active=max(moments, default=None),
        status=_status(name, bool(sessions), gateway_up),
    )


def _status(
    name: ChannelName, used: bool, gateway_up: bool
) -> Literal["connected", "not-configured", "unreachable"]:
    if name == "Webchat":
        return "connected" if gateway_up else "unreachable"
    return "connected" if used else "not-configured"


def message_count(session: Session) -> int:
    if session.message_count is not None:
        return session.message_count
    if session.turns is not None:
        return session.turns
    return len(session.messages)


def activity(session: Session) -> list[datetime]:
    """Return when the session was active, in UTC, without what no working clock can have said."""
    moments = (_in_utc(session.last_activity), _from_epoch(session.updated_at))
    return [moment for moment in moments if moment and moment >= _CREDIBLE_SINCE]


def _in_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None


def _from_epoch(milliseconds: float | None) -> datetime | None:
    if milliseconds is None or not 0 <= milliseconds < _YEAR_10000_MS:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)

"""The conversations on a pretend OpenClaw gateway, told as each version of it tells them."""

import json
import random
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from demo.people import GatewayVersion

# Kind -> (key after "agent:main:", channel, kind as sent, recipient, label); {n} is a number of the owner's own.
_KINDS = {
    "openai": ("openai:{uuid}", "unknown", "other", None, None),
    "main": ("main", "unknown", "other", None, None),
    "openai-user": ("openai-user:user-{n}", "unknown", "other", None, None),
    "telegram": ("telegram:direct:{n}", "telegram", "other", "telegram:{n}", None),
    "subagent": ("subagent:{uuid}", "unknown", "other", None, "research subtask"),
    "telegram-group": ("telegram:group:-100{n}", "telegram", "group", "telegram:-100{n}", None),
    "cron": ("cron:{n}-daily-report", "unknown", "other", None, "Cron: daily-report"),
    "discord": ("discord:channel:98765{n}", "discord", "group", "channel:98765{n}", None),
    "whatsapp": ("whatsapp:direct:+1{n}", "whatsapp", "other", "+1{n}", None),
    "slack": ("slack:channel:c{n}", "slack", "group", "channel:C{n}", None),
    "webchat": ("webchat:dm:{n}", "webchat", "other", "{n}", None),
}

# What a session tells beyond the key, by version; of 2026.4.2 everything.
_TOLD_BY = {
    "2026.3.13": (
        "key", "kind", "channel", "updatedAt", "sessionId", "model", "contextTokens", "totalTokens",
        "abortedLastRun", "transcriptPath",
    ),
    "2026.9.6": (
        "key", "sessionId", "agentId", "kind", "channel", "archived", "pinned", "updatedAt", "model",
        "contextTokens", "totalTokens", "status", "abortedLastRun",
    ),
}  # fmt: skip

MAIN_AGENT = "agent:main:"

_SAYINGS = ("What is on today?", "Three things; the first is the release.", "Good. Anything else?", "All quiet.")


@dataclass(frozen=True, slots=True)
class Saying:
    """One message; ``at`` in epoch milliseconds."""

    role: Literal["user", "assistant"]
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation: what was said, oldest first."""

    kind: str
    key: str
    session_id: str
    said: tuple[Saying, ...]
    recipient: str | None = None
    spawned_by: str | None = None

    @property
    def updated_at(self) -> int:
        """Return when something was said last, in epoch milliseconds."""
        return self.said[-1].at

    @property
    def asked(self) -> list[str]:
        """Return what the user said."""
        return [saying.text for saying in self.said if saying.role == "user"]

    def continued(self, message: str, reply: str, at: int) -> "Conversation":
        """Return the conversation with a message of the user and the reply to it."""
        return replace(self, said=(*self.said, Saying("user", message, at), Saying("assistant", reply, at)))

    def messages(self, version: GatewayVersion, last: int) -> list[dict[str, Any]]:
        """Return the last messages, oldest first."""
        length = len(self.said)
        return [self._message(version, number) for number in range(max(0, length - last), length)]

    def _message(self, version: GatewayVersion, number: int) -> dict[str, Any]:
        saying = self.said[number]
        marker = {"__openclaw": {"id": f"{number + 1:08x}", "seq": number + 1}}
        parts = [{"type": "text", "text": saying.text}]
        if saying.role == "user":
            content = saying.text if version == "2026.9.6" else parts
            return {"role": "user", "content": content, "timestamp": saying.at} | marker
        reply = {"role": "assistant", "content": parts, "api": "openai-completions", "provider": "fake"}
        return reply | {"model": "fake-model", "stopReason": "stop", "timestamp": saying.at} | marker

    def told_by(self, version: GatewayVersion) -> dict[str, Any]:
        """Return the conversation as an entry of ``sessions_list`` in that version's words."""
        everything = self._identity() | self._delivery() | self._figures()
        if version == "2026.9.6":
            everything |= {"agentId": "main", "archived": False, "pinned": False}
            everything["kind"] = "main" if self.kind == "main" else everything["kind"]
        if version == "managed":
            moment = datetime.fromtimestamp(self.updated_at / 1000, UTC)
            length = "turns" if self.kind in ("whatsapp", "slack") else "messageCount"
            everything |= {
                length: len(self.said),
                "lastActivity": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        told = _TOLD_BY.get(version, tuple(everything))
        return {name: everything[name] for name in told if name in everything}

    def _identity(self) -> dict[str, Any]:
        _, channel, kind, _, label = _KINDS[self.kind]
        identity = {"key": self.key, "kind": kind, "channel": channel}
        if self.spawned_by:
            identity["spawnedBy"] = self.spawned_by
        return identity | ({"label": label, "displayName": label} if label else {})

    def _delivery(self) -> dict[str, Any]:
        if self.recipient is None:
            return {}
        channel = _KINDS[self.kind][1]
        return {
            "origin": {"provider": channel, "accountId": "default"},
            "displayName": f"{channel}:g-{self.key.replace(':', '-')}",
            "deliveryContext": {"channel": channel, "to": self.recipient, "accountId": "default"},
            "lastChannel": channel,
            "lastTo": self.recipient,
            "lastAccountId": "default",
        }

    def _figures(self) -> dict[str, Any]:
        tokens = 400 + 310 * len(self.said)
        figures = {
            "updatedAt": self.updated_at,
            "sessionId": self.session_id,
            "model": "fake-model",
            "contextTokens": 128_000,
            "totalTokens": tokens,
            "estimatedCostUsd": round(tokens * 1.2e-6, 6),
            "startedAt": self.updated_at - 3000,
            "abortedLastRun": self.kind == "slack",
            "transcriptPath": f"/home/node/.openclaw/agents/main/sessions/{self.session_id}.jsonl",
        }
        if self.recipient or self.kind in ("subagent", "cron"):
            figures["systemSent"] = True
        if self.kind == "telegram":
            return figures | {"status": "running"}
        status = "failed" if self.kind == "slack" else "done"
        return figures | {"status": status, "endedAt": self.updated_at, "runtimeMs": 3000}


def conversations(owner: str, kinds: tuple[str, ...], now: datetime) -> list[Conversation]:
    """Return the owner's conversations, newest first; the same for the same arguments."""
    chance = random.Random(owner)
    moment = int(now.timestamp() * 1000)
    made = []
    for kind in kinds:
        moment -= chance.randrange(60_000, 30_000_000)
        made.append(_conversation(kind, moment, chance))
    return made


def _conversation(kind: str, moment: int, chance: random.Random) -> Conversation:
    key, _, _, recipient, _ = _KINDS[kind]
    own = {"n": chance.randrange(10**8, 10**9), "uuid": _uuid(chance)}
    session_id, length = _uuid(chance), chance.randrange(2, 90)
    return Conversation(
        kind,
        MAIN_AGENT + key.format(**own),
        session_id,
        tuple(_seeded(number, moment - (length - 1 - number) * 45_000) for number in range(length)),
        recipient and recipient.format(**own),
        f"{MAIN_AGENT}main" if kind == "subagent" else None,
    )


def _seeded(number: int, at: int) -> Saying:
    return Saying("assistant" if number % 2 else "user", _SAYINGS[number % len(_SAYINGS)], at)


def opened(user: str | None) -> Conversation:
    """Return the conversation in which nothing has been said yet that a chat by that name, or none, begins."""
    # OpenClaw writes the keys of its sessions in lower case.
    kind, name = ("openai", str(uuid.uuid4())) if user is None else ("openai-user", user.lower())
    return Conversation(kind, f"{MAIN_AGENT}{kind}:{name}", str(uuid.uuid4()), ())


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def listed(held: list[Conversation], version: GatewayVersion, limit: int, message_limit: int) -> dict[str, Any]:
    """Return what ``sessions_list`` finds: at most ``limit`` sessions with their last messages, if wanted."""
    sessions = []
    for conversation in held[:limit]:
        entry = conversation.told_by(version)
        if message_limit:
            entry["messages"] = conversation.messages(version, message_limit)
        sessions.append(entry)
    found: dict[str, Any] = {"count": len(sessions), "sessions": sessions}
    return found | ({"hasMore": len(held) > limit, "limitApplied": limit} if version == "2026.9.6" else {})


def history(held: list[Conversation], version: GatewayVersion, key: str, limit: int) -> dict[str, Any]:
    """Return what ``sessions_history`` finds: the last ``limit`` messages, none of an unknown session."""
    if not key.startswith(MAIN_AGENT):
        return {
            "status": "forbidden",
            "error": "Session history visibility is restricted. "
            "Set tools.sessions.visibility=all to allow cross-agent access.",
        }
    conversation = next((one for one in held if one.key == key), None)
    messages = conversation.messages(version, limit) if conversation else []
    found = {
        "sessionKey": key,
        "messages": messages,
        "truncated": bool(conversation and len(conversation.said) > limit),
        "droppedMessages": False,
        "contentTruncated": False,
        "contentRedacted": False,
        "bytes": len(json.dumps(messages, separators=(",", ":"))),
    }
    return found | ({"pendingInputs": {"items": [], "total": 0}} if version == "2026.9.6" else {})

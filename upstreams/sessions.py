"""The conversations an OpenClaw gateway holds, listed by its session tools."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory, RefusedTokens
from upstreams.pipe import UNDECODABLE, Pipe
from upstreams.user_store import Account

T = TypeVar("T")

_MAX_SESSIONS = 500  # ten times what is asked for
_MAX_LIST_BYTES = 512 * 1024
_MAX_MESSAGES = 1000
_MAX_TEXT_CHARS = 256 * 1024
_MAX_HISTORY_BYTES = 2 * 1024 * 1024
_HISTORIES_AT_ONCE = 4
_MAX_CHARS_TOGETHER = 8 * 1024 * 1024
_MESSAGE_CHARS = 64  # what a message counts beside its text

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=1024)]
EpochMs = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # to the end of year 9999
Text = Annotated[str, msgspec.Meta(max_length=_MAX_TEXT_CHARS)]


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One conversation. Each gateway version sends only some of these fields.

    ``updated_at`` and ``started_at`` are epoch ms.
    """

    key: Name
    channel: Name | None = None
    last_channel: Name | None = None
    updated_at: float | None = None
    last_activity: datetime | None = None
    message_count: Count | None = None
    turns: Count | None = None
    messages: tuple[Any, ...] = ()
    session_id: Name | None = None
    status: Name | None = None
    started_at: EpochMs | None = None
    model: Name | None = None
    archived: bool | None = None


class SessionList(msgspec.Struct, frozen=True):
    """The details of ``sessions_list``."""

    sessions: Annotated[tuple[Session, ...], msgspec.Meta(max_length=_MAX_SESSIONS)]


class Part(msgspec.Struct, frozen=True):
    """A part of what was said: text, or something else that has none."""

    type: str
    text: Text | None = None


class Said(msgspec.Struct, frozen=True):
    role: Annotated[str, msgspec.Meta(max_length=64)]
    content: Text | Annotated[tuple[Part, ...], msgspec.Meta(max_length=_MAX_MESSAGES)] | None = None
    timestamp: EpochMs | None = None


class History(msgspec.Struct, frozen=True):
    """The details of ``sessions_history``: the messages, or with ``status`` why there are none."""

    messages: Annotated[tuple[Said, ...], msgspec.Meta(max_length=_MAX_MESSAGES)] | None = None
    status: str | None = None


class Message(NamedTuple):
    """What was said; ``timestamp`` is epoch ms."""

    role: str
    text: str
    timestamp: float | None


class Content(msgspec.Struct, frozen=True):
    text: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    details: msgspec.Raw = msgspec.Raw(b"null")
    content: tuple[Content, ...] = ()


class ToolAnswer(msgspec.Struct, frozen=True):
    """``POST /tools/invoke``: the result is in ``details``, on older gateways only as text."""

    result: ToolResult


_FORBIDDEN = 403

_LIST = msgspec.json.encode({"tool": "sessions_list", "args": {"limit": 50, "messageLimit": 0}})
_ANSWER = msgspec.json.Decoder(ToolAnswer)
_SESSION_LIST = msgspec.json.Decoder(SessionList)
_HISTORY = msgspec.json.Decoder(History)


class Sessions:
    def __init__(self, pipe: Pipe, directory: GatewayDirectory, refused: RefusedTokens) -> None:
        self._pipe = pipe
        self._directory = directory
        self._refused = refused

    def is_private(self, account: Account) -> bool:
        """Return whether what is listed for the user is the user's alone."""
        return self._directory.is_private(account)

    async def list(self, account: Account) -> tuple[Session, ...]:
        """Return the user's newest conversations, at most 50, without their messages. Raises UpstreamFailure."""
        return (await self._invoke(account, _LIST, _SESSION_LIST, _MAX_LIST_BYTES)).sessions

    async def history(self, account: Account, key: str, limit: int) -> tuple[Message, ...]:
        """Return the newest ``limit`` messages of a conversation, oldest first; none when it is not known.

        Raises UpstreamFailure, with ``status`` 403 when the gateway does not show this conversation.
        """
        messages = await self._shown(account, key, limit)
        if messages is None:
            raise UpstreamFailure(self._pipe.upstream, Reason.STATUS, status=_FORBIDDEN)
        return messages

    async def histories(
        self, account: Account, keys: Sequence[str], limit: int
    ) -> tuple[tuple[Message, ...], ...]:
        """Return the ``history`` of each conversation, in this order; none of one that the gateway does not show.

        Raises UpstreamFailure when one fails, or when they are too large together.
        """
        places = asyncio.Semaphore(_HISTORIES_AT_ONCE)
        room = _MAX_CHARS_TOGETHER

        async def one(key: str) -> tuple[Message, ...]:
            nonlocal room
            async with places:
                messages = await self._shown(account, key, limit) or ()
            room -= sum(_MESSAGE_CHARS + len(message.text) for message in messages)
            if room < 0:
                raise UpstreamFailure(self._pipe.upstream, Reason.TOO_LARGE)
            return messages

        asking = [asyncio.ensure_future(one(key)) for key in keys]
        try:
            return tuple(await asyncio.gather(*asking))
        finally:
            for each in asking:
                each.cancel()

    async def _shown(self, account: Account, key: str, limit: int) -> tuple[Message, ...] | None:
        """Return the messages of a conversation, None when the gateway does not show it."""
        content = msgspec.json.encode({"tool": "sessions_history", "args": {"sessionKey": key, "limit": limit}})
        history = await self._invoke(account, content, _HISTORY, _MAX_HISTORY_BYTES)
        if history.status == "forbidden":
            return None
        if history.messages is None:
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED)
        return tuple(Message(said.role, _text(said), said.timestamp) for said in history.messages)

    async def _invoke(self, account: Account, content: bytes, into: msgspec.json.Decoder[T], max_bytes: int) -> T:
        at = self._directory.address(account, self._pipe.upstream)
        token = self._directory.token(account, at)
        with self._refused.noted(self._pipe.upstream, at, token):
            answer = await self._pipe.query(
                at, "/tools/invoke", content=content, into=_ANSWER, bearer=token, max_bytes=max_bytes
            )
        try:
            return into.decode(_details(answer.result))
        except UNDECODABLE as error:
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED) from error


def _text(said: Said) -> str:
    if said.content is None or isinstance(said.content, str):
        return said.content or ""
    return "\n".join(part.text for part in said.content if part.type == "text" and part.text is not None)


def _details(result: ToolResult) -> bytes | str:
    if result.details == msgspec.Raw(b"null") and result.content:
        return result.content[0].text
    return bytes(result.details)

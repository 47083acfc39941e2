"""The conversations an OpenClaw gateway holds, listed by its session tools."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory
from upstreams.pipe import Pipe
from upstreams.user_store import Account

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One conversation. Each gateway version sends only some of these fields; ``updated_at`` is epoch ms."""

    key: str
    channel: str | None = None
    last_channel: str | None = None
    updated_at: float | None = None
    last_activity: datetime | None = None
    message_count: Count | None = None
    turns: Count | None = None
    messages: tuple[Any, ...] = ()


class SessionList(msgspec.Struct, frozen=True):
    """The details of ``sessions_list``."""

    sessions: tuple[Session, ...]


class Text(msgspec.Struct, frozen=True):
    text: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    details: msgspec.Raw = msgspec.Raw(b"null")
    content: tuple[Text, ...] = ()


class ToolAnswer(msgspec.Struct, frozen=True):
    """``POST /tools/invoke``: the result is in ``details``, on older gateways only as text."""

    result: ToolResult


_LIST = msgspec.json.encode({"tool": "sessions_list", "args": {"limit": 50, "messageLimit": 0}})
_ANSWER = msgspec.json.Decoder(ToolAnswer)
_SESSION_LIST = msgspec.json.Decoder(SessionList)


class Sessions:
    def __init__(self, pipe: Pipe, directory: GatewayDirectory) -> None:
        self._pipe = pipe
        self._directory = directory

    async def list(self, account: Account) -> tuple[Session, ...]:
        """Return the user's newest conversations, at most 50, without their messages. Raises UpstreamFailure."""
        answer = await self._pipe.query(
            self._directory.address(account, self._pipe.upstream),
            "/tools/invoke",
            content=_LIST,
            into=_ANSWER,
            bearer=self._directory.token(account),
        )
        try:
            return _SESSION_LIST.decode(_details(answer.result)).sessions
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED) from error


def _details(result: ToolResult) -> bytes | str:
    if result.details == msgspec.Raw(b"null") and result.content:
        return result.content[0].text
    return bytes(result.details)

"""The conversations an OpenClaw gateway holds, listed by its session tools."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from cachetools import TTLCache

from upstreams.failure import Reason, UpstreamFailure
from upstreams.gateway import GatewayDirectory
from upstreams.pipe import UNDECODABLE, Address, Pipe
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


_MAX_SESSIONS = 500  # ten times what is asked for
_MAX_BYTES = 512 * 1024


class SessionList(msgspec.Struct, frozen=True):
    """The details of ``sessions_list``."""

    sessions: Annotated[tuple[Session, ...], msgspec.Meta(max_length=_MAX_SESSIONS)]


class Text(msgspec.Struct, frozen=True):
    text: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    details: msgspec.Raw = msgspec.Raw(b"null")
    content: tuple[Text, ...] = ()


class ToolAnswer(msgspec.Struct, frozen=True):
    """``POST /tools/invoke``: the result is in ``details``, on older gateways only as text."""

    result: ToolResult


_UNAUTHORIZED = 401
_REFUSED_SECONDS = 10.0
_MAX_REFUSED = 10_000

_LIST = msgspec.json.encode({"tool": "sessions_list", "args": {"limit": 50, "messageLimit": 0}})
_ANSWER = msgspec.json.Decoder(ToolAnswer)
_SESSION_LIST = msgspec.json.Decoder(SessionList)


class Sessions:
    def __init__(
        self, pipe: Pipe, directory: GatewayDirectory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pipe = pipe
        self._directory = directory
        self._refused: TTLCache[tuple[str, str | None], bool] = TTLCache(_MAX_REFUSED, _REFUSED_SECONDS, clock)

    async def list(self, account: Account) -> tuple[Session, ...]:
        """Return the user's newest conversations, at most 50, without their messages. Raises UpstreamFailure."""
        at = self._directory.address(account, self._pipe.upstream)
        answer = await self._invoke(at, self._directory.token(account, at), _LIST)
        try:
            return _SESSION_LIST.decode(_details(answer.result)).sessions
        except UNDECODABLE as error:
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED) from error

    async def _invoke(self, at: Address, token: str | None, content: bytes) -> ToolAnswer:
        """Return what the tool answered; a token that was refused a moment ago is not tried again.

        A gateway that sees too many wrong tokens locks out the good ones too.
        """
        credential = (at.origin, token)
        if credential in self._refused:
            raise UpstreamFailure(self._pipe.upstream, Reason.STATUS, status=_UNAUTHORIZED)
        try:
            return await self._pipe.query(
                at, "/tools/invoke", content=content, into=_ANSWER, bearer=token, max_bytes=_MAX_BYTES
            )
        except UpstreamFailure as failure:
            if failure.status == _UNAUTHORIZED:
                self._refused[credential] = True
            raise


def _details(result: ToolResult) -> bytes | str:
    if result.details == msgspec.Raw(b"null") and result.content:
        return result.content[0].text
    return bytes(result.details)

"""What a gateway's chat answers (OpenAI's chat completions): whole, or piece by piece as server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import UNDECODABLE

T = TypeVar("T")

MAX_REPLY_BYTES: Final = 1024 * 1024
MAX_STREAM_BYTES: Final = 4 * 1024 * 1024  # what surrounds a piece is far longer than the piece
_MAX_LINES: Final = 64 * 1024
_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_OK: Final = 200


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class Completion(msgspec.Struct, frozen=True):
    """``POST /v1/chat/completions``. Gateways up to 2026.4 also tell so that their model failed."""

    choices: Annotated[tuple[_Choice, ...], msgspec.Meta(min_length=1, max_length=16)]

    @property
    def text(self) -> str:
        return self.choices[0].message.content or ""


class _Change(msgspec.Struct, frozen=True):
    delta: _Message = _Message()


class _Chunk(msgspec.Struct, frozen=True):
    """One event of a streamed completion: what was added, or that something went wrong."""

    choices: Annotated[tuple[_Change, ...], msgspec.Meta(max_length=16)] = ()
    error: msgspec.Raw = msgspec.Raw(b"null")


COMPLETION: Final = msgspec.json.Decoder(Completion)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)


class StreamedReply:
    """Reads a streamed completion and tells each piece of its text as it comes.

    A gateway that answers with one plain JSON body all the same tells it in one piece.
    """

    def __init__(self, upstream: str, tell: Callable[[str], Awaitable[None]]) -> None:
        self._upstream = upstream
        self._tell = tell
        self._line = bytearray()
        self._pieces: list[str] = []
        self._size = 0
        self._lines = 0
        self._done = False

    async def feed(self, received: bytes) -> bool:
        """Take what has come of the body; return whether that was its end, after which nothing counts.

        Raises UpstreamFailure when it is no completion.
        """
        *complete, rest = received.split(b"\n")
        self._lines += len(complete)
        if self._lines > _MAX_LINES:
            raise self._failure(Reason.TOO_LARGE)
        for end in complete:
            self._extend(end)
            if not self._is_plain():
                await self._end_line()
            if self._done:
                return True
        self._extend(rest)
        return False

    async def finish(self) -> str:
        """Return the whole text. Raises UpstreamFailure when the end of it is missing."""
        if self._is_plain():
            await self._add(self._decoded(COMPLETION, self._line).text)
            self._done = True
        else:
            await self._end_line()
        if not self._done:
            raise self._failure(Reason.MALFORMED)
        return "".join(self._pieces)

    def _extend(self, received: bytes) -> None:
        self._line += received
        if len(self._line) > MAX_REPLY_BYTES:
            raise self._failure(Reason.TOO_LARGE)

    def _is_plain(self) -> bool:
        return self._line.startswith(b"{")

    async def _end_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if not line.startswith(_DATA):
            return
        data = line.removeprefix(_DATA).strip()
        if data == _DONE:
            self._done = True
        else:
            await self._take(self._decoded(_CHUNK, data))

    async def _take(self, chunk: _Chunk) -> None:
        if chunk.error != msgspec.Raw(b"null"):
            raise self._failure(Reason.STATUS)
        for change in chunk.choices[:1]:
            await self._add(change.delta.content or "")

    async def _add(self, piece: str) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._size > MAX_REPLY_BYTES:
            raise self._failure(Reason.TOO_LARGE)
        self._pieces.append(piece)
        await self._tell(piece)

    def _decoded(self, decoder: msgspec.json.Decoder[T], data: bytes | bytearray) -> T:
        try:
            return decoder.decode(data)
        except UNDECODABLE as error:
            raise self._failure(Reason.MALFORMED) from error

    def _failure(self, reason: Reason) -> UpstreamFailure:
        # The status tells that the gateway answered: it is not the host that is in trouble.
        return UpstreamFailure(self._upstream, reason, status=_OK, unsafe=True)

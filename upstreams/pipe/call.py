"""One call to an upstream, what it answers, and the type every layer of the pipe has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

MAX_BODY_BYTES = 5 * 1024 * 1024

# Everything msgspec raises for bytes that are not what was asked for.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream answered: untrusted, of no more bytes than its call allowed.

    ``retry_after``: the seconds it asked to be left alone.
    """

    status: int
    retry_after: float | None
    body: bytes


# Takes a piece of a body; returns True when it wants no more of it.
Take = Callable[[bytes], Awaitable[bool | None]]


class Sink:
    """Who takes a body piece by piece. ``busy``: it has yet to take the last one."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.busy = False

    async def __call__(self, piece: bytes) -> bool:
        """Return whether no more is wanted."""
        self.busy = True
        enough = await self._take(piece)
        self.busy = False
        return bool(enough)


@dataclass(slots=True)
class Call:
    """One call. ``expires`` is the event loop's time, in seconds, by which it must have ended.

    More than ``max_bytes`` of body are not read. With a ``decoder`` the result is the decoded body of a 2xx
    answer; with a ``sink`` that body goes there as it comes, until it wants no more, and the result is None;
    with neither it is the ``Reply``, whatever its status. A 401 that is JSON is decoded by ``refusal``, if given.
    """

    request: httpx.Request
    expires: float
    max_bytes: int
    idempotent: bool
    decoder: msgspec.json.Decoder[Any] | None
    sink: Sink | None = None
    refusal: msgspec.json.Decoder[Any] | None = None


Send = Callable[[Call], Awaitable[Any]]

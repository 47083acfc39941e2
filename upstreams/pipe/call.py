"""One call to an upstream, what it answers, and the type every layer of the pipe has."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

MAX_BODY_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream answered: untrusted, capped at ``MAX_BODY_BYTES``."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class Call:
    """One call. ``expires`` is the event loop's time, in seconds, by which it must have ended.

    With a ``decoder`` the result is the decoded body of a 2xx answer; without one it is the ``Reply``,
    whatever its status.
    """

    request: httpx.Request
    expires: float
    idempotent: bool
    decoder: msgspec.json.Decoder[Any] | None


Send = Callable[[Call], Awaitable[Any]]

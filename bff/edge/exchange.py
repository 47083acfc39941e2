"""One request on its way through: what was read of it, and what is to be said of it in the log."""

import os
import re
from dataclasses import dataclass, field
from typing import Final

from starlette.types import Receive, Scope, Send

from bff.clock import monotonic

SCOPE_KEY: Final = "bff.exchange"

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._~-]{1,128}")

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Exchange:
    """``started`` in seconds of the monotonic clock; ``request_id`` is the caller's if sane, else made."""

    headers: dict[bytes, bytes]
    request_id: bytes
    started: float = field(default_factory=monotonic)
    status: int = 0
    operation: str | None = None
    user: str | None = None
    cache: str | None = None
    degraded: str | None = None
    failure: str | None = None

    @classmethod
    def of(cls, scope: Scope) -> "Exchange":
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        return cls(headers, given if _SANE_ID.fullmatch(given) else os.urandom(16).hex().encode())

    def elapsed_ms(self) -> float:
        return (monotonic() - self.started) * 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished response of the gateway's own; usable as an ASGI application."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status, "headers": self.all_headers()})
        await send({"type": "http.response.body", "body": self.body})

    def all_headers(self) -> Headers:
        """Return the headers with the length of the body, which a 304 does not have."""
        if self.status == 304:
            return self.headers
        return [(b"content-length", b"%d" % len(self.body)), *self.headers]

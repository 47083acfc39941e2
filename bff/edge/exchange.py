"""One request on its way through: what was read of it, and what is to be said of it in the log."""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from starlette.types import Receive, Scope, Send

from bff.clock import monotonic
from bff.edge.headers import Headers

SCOPE_KEY: Final = "bff.exchange"

_PROCESS: Final = secrets.token_hex(12).encode()
_numbers: Final = count(secrets.randbits(24))

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._~-]{1,128}")


@dataclass(slots=True)
class Exchange:
    """``started`` in seconds of the monotonic clock; ``request_id`` is the caller's if sane, else made.

    ``allowance`` are the headers that tell what is left of the caller's quota, where there is one.
    """

    headers: dict[bytes, bytes]
    request_id: bytes
    started: float = field(default_factory=monotonic)
    status: int = 0
    operation: str | None = None
    user: str | None = None
    cache: str | None = None
    degraded: str | None = None
    failure: str | None = None
    allowance: Sequence[tuple[bytes, bytes]] = ()

    @classmethod
    def of(cls, fields: Iterable[tuple[bytes, bytes]]) -> "Exchange":
        """Return the exchange of a request with these header fields."""
        headers = dict(fields)
        given = headers.get(b"x-request-id")
        if given is not None and _SANE_ID.fullmatch(given):
            return cls(headers, given)
        return cls(headers, b"%b%08x" % (_PROCESS, next(_numbers)))

    def elapsed_ms(self) -> float:
        return (monotonic() - self.started) * 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished response of the gateway's own; usable as an ASGI application."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        length = (b"content-length", b"%d" % len(self.body))
        headers = self.headers if self.status == 304 else [length, *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

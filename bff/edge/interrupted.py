"""What a request is told that the end of the process cuts short."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from bff.auth.csrf import SAFE_METHODS
from bff.edge.errors import RETRY_AFTER_SECONDS, error_answer, unavailable
from bff.edge.exchange import SCOPE_KEY, Answer, Exchange
from bff.edge.headers import SECURITY

_NOT_DONE: Final = unavailable()
PERHAPS_DONE: Final = error_answer(
    503, "Service unavailable: the outcome is unknown", retry_after=RETRY_AFTER_SECONDS
)


async def to_the_end(
    cycle: RequestResponseCycle, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Have ``app`` answer. When it is cancelled, which only a server does that ends, answer 503 if it is not late.

    What a request would change may have been done all the same.
    """
    try:
        await app(scope, receive, send)
    except asyncio.CancelledError:
        if cycle.response_started:
            cycle.disconnected = True
            cycle.transport.abort()
            return
        answer = _NOT_DONE if scope["method"] in SAFE_METHODS else PERHAPS_DONE
        exchange = scope.get(SCOPE_KEY) or Exchange.of(scope["headers"])
        await identified(answer, exchange)(scope, receive, send)


def identified(answer: Answer, exchange: Exchange) -> Answer:
    """Return the answer with the headers that every response has."""
    return Answer(answer.status, answer.body, [(b"x-request-id", exchange.request_id), *answer.headers, *SECURITY])

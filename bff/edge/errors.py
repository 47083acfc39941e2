"""The documented shape of everything that is not a success."""

from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bff.edge.exchange import Answer
from bff.edge.headers import JSON, NO_STORE

RETRY_AFTER_SECONDS = 2

_MESSAGES = {404: "Not found", 405: "Method not allowed"}


def error_answer(
    status: int, message: str, *, fields: Mapping[str, object] | None = None, retry_after: int | None = None
) -> Answer:
    """Return ``{"error": message}`` with the further documented ``fields``; ``retry_after`` in seconds."""
    headers = [JSON, NO_STORE]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    return Answer(status, msgspec.json.encode({"error": message, **(fields or {})}), headers)


UNEXPECTED = error_answer(500, "Internal server error")


def unavailable() -> Answer:
    """Return the 503 of a request that cannot be answered now and may be tried again."""
    return error_answer(503, "Service unavailable", retry_after=RETRY_AFTER_SECONDS)


async def routing_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer what the router refused: an unknown path, or a method the path does not have (with ``Allow``)."""
    assert isinstance(error, HTTPException)
    body = msgspec.json.encode({"error": _MESSAGES.get(error.status_code, "Bad request")})
    return Response(body, error.status_code, error.headers, media_type="application/json")


async def unexpected_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a bug behind the router, which would do it in a shape of its own; the edge logs it."""
    headers = {name.decode(): value.decode() for name, value in UNEXPECTED.headers}
    return Response(UNEXPECTED.body, UNEXPECTED.status, headers)

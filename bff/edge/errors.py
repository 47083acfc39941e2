"""The documented shape of everything that is not a success."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bff.cache.entries import degradation
from bff.edge.exchange import Answer, Exchange
from bff.edge.headers import JSON, NO_STORE
from bff.plans.operation import Operation, Refused, Shape, error_shape
from upstreams.failure import UpstreamFailure

_log: Final = structlog.get_logger("bff.edge")

RETRY_AFTER_SECONDS = 2

_MESSAGES = {404: "Not found", 405: "Method not allowed"}


def error_answer(
    status: int,
    message: str,
    *,
    fields: Mapping[str, object] | None = None,
    retry_after: int | None = None,
    shape: Shape = error_shape,
) -> Answer:
    """Return the error with the further documented ``fields``; ``retry_after`` in seconds."""
    headers = [JSON, NO_STORE]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    return Answer(status, msgspec.json.encode(shape(status, message, fields or {})), headers)


UNEXPECTED = error_answer(500, "Internal server error")


def unexpected(exchange: Exchange, shape: Shape = error_shape) -> Answer:
    """Log the exception that is being handled; return the 500 that tells nothing of it."""
    _log.exception("unexpected", request_id=exchange.request_id.decode(), operation=exchange.operation)
    return error_answer(500, "Internal server error", shape=shape)


def unavailable(shape: Shape = error_shape) -> Answer:
    """Return the 503 of a request that cannot be answered now and may be tried again."""
    return error_answer(503, "Service unavailable", retry_after=RETRY_AFTER_SECONDS, shape=shape)


def refused_answer(refused: Refused, shape: Shape) -> Answer:
    """Return the documented error that the operation has for this question."""
    answer = error_answer(
        refused.status, refused.error, fields=refused.fields, retry_after=refused.retry_after, shape=shape
    )
    answer.headers.extend(refused.headers)
    return answer


def failed_answer(
    operation: Operation[Any], failure: UpstreamFailure, *, fields: Mapping[str, object] | None = None
) -> Answer:
    """Return the documented error of the operation when this fails."""
    status, message = operation.failure(failure)
    return error_answer(status, message, fields=fields, shape=operation.shape)


def failed_write(operation: Operation[Any], failure: UpstreamFailure) -> Answer:
    """Return the documented error, and say when what failed may have been done all the same."""
    status, message = operation.failure(failure)
    missing = degradation(failure)
    if failure.outcome_unknown:
        message, missing = f"{message}: the outcome is unknown", f"{missing};outcome=unknown"
    answer = error_answer(status, message, shape=operation.shape)
    answer.headers.append((b"bff-degraded", missing.encode()))
    return answer


async def routing_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer what the router refused: an unknown path, or a method the path does not have (with ``Allow``)."""
    assert isinstance(error, HTTPException)
    body = msgspec.json.encode({"error": _MESSAGES.get(error.status_code, "Bad request")})
    return Response(body, error.status_code, error.headers, media_type="application/json")


async def unexpected_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer a bug behind the router, which would do it in a shape of its own; the edge logs it."""
    headers = {name.decode(): value.decode() for name, value in UNEXPECTED.headers}
    return Response(UNEXPECTED.body, UNEXPECTED.status, headers)

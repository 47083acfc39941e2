"""Request bodies: complete in time, no larger than allowed, JSON that every upstream and database can hold."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.types import Receive

from bff.edge.errors import RETRY_AFTER_SECONDS
from bff.plans.operation import Refused

BODY_SECONDS: Final = 30.0  # contract.md, "Shapes left open"
MAX_DEPTH: Final = 32
# What is decoded and checked on the event loop is everyone's time.
MAX_VALUES: Final = 50_000

# A body so many times too large is still read to its end: whose connection ends before never sees why.
_HEARD_OUT: Final = 4

# PostgreSQL cannot hold it. Not where the backslash is itself escaped.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class ClientLeft(Exception):
    """The caller went away before the request was complete: there is nobody to answer."""


async def read_json(headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int) -> Any:
    """Return the body's JSON value. Raises Refused (400, 408, 413; 503 when the server ends) and ClientLeft."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes * _HEARD_OUT:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive, max_bytes)
    except TimeoutError as error:
        # What may still come of this body must not be taken for the next request.
        raise Refused(408, "Request timeout", headers=((b"connection", b"close"),)) from error
    except asyncio.CancelledError as error:  # by nobody but a server that ends; nothing has been done yet
        raise Refused(503, "Service unavailable", retry_after=RETRY_AFTER_SECONDS) from error
    return _decode(body)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size <= max_bytes:
            pieces.append(piece)
        if not message.get("more_body", False) or size > max_bytes * _HEARD_OUT:
            break
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(pieces)


def _too_large(max_bytes: int) -> Refused:
    return Refused(413, f"Request body must be at most {max_bytes} bytes", headers=((b"connection", b"close"),))


def _decode(body: bytes) -> Any:
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:  # as many as there can be, at most
        raise Refused(400, f"Request body must not hold more than {MAX_VALUES} values")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "Invalid JSON") from error
    if _NUL.search(body):
        raise Refused(400, "Request body must not contain the character NUL")
    if _is_deeper(value, MAX_DEPTH):
        raise Refused(400, f"Request body must not be nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    while level and depth:
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) is dict or type(inner) is list
        ]
        depth -= 1
    return bool(level)

"""What the pretend upstreams answer with: whole answers whose ASGI messages are made once."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"


class Answer:
    """A whole HTTP answer, itself an ASGI application that sends it."""

    __slots__ = ("_body", "_start")

    def __init__(self, status: int, content_type: str, body: bytes, **headers: str) -> None:
        fields = {"content-type": content_type, "content-length": str(len(body))} | headers
        names = ((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
        self._start: Message = {"type": "http.response.start", "status": status, "headers": list(names)}
        self._body: Message = {"type": "http.response.body", "body": body}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send(self._body)


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return ``value`` as compact JSON; underscores in header names stand for hyphens."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, JSON_TYPE, body, **headers)


def fresh(make: Callable[[], Answer]) -> ASGIApp:
    """Return an ASGI application that makes its answer anew for each request (uptimes, timestamps)."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await make()(scope, receive, send)

    return app


def plain_status(status: HTTPStatus) -> Answer:
    """Return the status' own phrase as plain text, as Node's small servers do."""
    return Answer(status, TEXT_TYPE, status.phrase.encode())


def header(scope: Scope, name: bytes) -> bytes:
    """Return the value of the request's header, or nothing."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def whole_body(receive: Receive) -> bytes:
    """Return the request's body; of a client that left, what had arrived."""
    message = await receive()
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    chunks = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        chunks.append(message.get("body", b""))
    return b"".join(chunks)

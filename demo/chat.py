"""``POST /v1/chat/completions`` of the pretend gateway: a reply as one answer, or piece by piece."""

import json
import re
import time
import uuid
from typing import Any

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import Answer, json_answer, whole_body
from demo.replies import reply
from demo.tenants import Door, Tenant, error

FAILING = "FAIL500"  # a message that the pretend model fails at

_BAD_JSON = error(400, "invalid_request_error", "Invalid JSON")
_NO_MESSAGE = error(400, "invalid_request_error", "Missing user message in `messages`.")
_MODEL_FAILED = error(502, "api_error", "upstream provider error")
_FAILURE_IN_WORDS = "500 fake upstream failure"
_FAILING_IN_WORDS = ("2026.3.13", "2026.4.2")  # they tell a failure of the model as if the model had said it

_PIECE = re.compile(r"\S+\s*")


class EventStream:
    """Server-sent events, each in a message of its own."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in self._events:
            body = f"data: {event}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Chat:
    """The completions of a token's conversations, which its session tools show from then on."""

    def __init__(self, door: Door, otherwise: ASGIApp) -> None:
        self._door = door
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._otherwise(scope, receive, send)
            return
        found = self._door.enter(scope)
        app = found if isinstance(found, Answer) else _complete(found, await whole_body(receive))
        await app(scope, receive, send)


def _complete(tenant: Tenant, body: bytes) -> ASGIApp:
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _BAD_JSON
    asked = asked if isinstance(asked, dict) else {}
    message = _last_of_user(asked.get("messages"))
    if not message:
        return _NO_MESSAGE
    user = asked.get("user")
    conversation = tenant.conversation(user if isinstance(user, str) and user else None)
    said = reply(message, conversation.asked)
    if message == FAILING:
        if tenant.version not in _FAILING_IN_WORDS:
            return _MODEL_FAILED
        said = _FAILURE_IN_WORDS
    tenant.hold(conversation.continued(message, said, time.time_ns() // 1_000_000))
    tell = _streamed if asked.get("stream") is True else _whole
    return tell(str(asked.get("model", "openclaw")), said)


def _last_of_user(messages: Any) -> str:
    """Return the text of the user's last message, or nothing."""
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else ""
    return ""


def _completion(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl_{uuid.uuid4()}", "object": kind, "created": int(time.time()), "model": model}


def _whole(model: str, said: str) -> ASGIApp:
    choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return json_answer(_completion("chat.completion", model) | {"choices": [choice], "usage": usage})


def _streamed(model: str, said: str) -> ASGIApp:
    completion = _completion("chat.completion.chunk", model)
    deltas = [{"role": "assistant"}, *({"content": piece} for piece in _PIECE.findall(said)), {}]
    events = []
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        events.append(json.dumps(completion | {"choices": [choice]}, ensure_ascii=False))
    return EventStream([*events, "[DONE]"])

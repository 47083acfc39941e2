"""The pretend OpenClaw gateway: liveness, the session tools, chat and deployment."""

import json
import time
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import HTML_TYPE, TEXT_TYPE, Answer, fresh, json_answer, plain_status, whole_body
from demo.chat import Chat
from demo.conversations import history, listed
from demo.deployment import deploy
from demo.limits import PerMinute
from demo.tenants import WRONG_TOKENS_A_MINUTE, Door, Tenant, error, tenants

PAGE = Answer(
    200,
    HTML_TYPE,
    b'<!doctype html>\n<html lang="en"><head><title>OpenClaw Control</title></head><body></body></html>\n',
    cache_control="no-cache",
)
NOT_FOUND = plain_status(HTTPStatus.NOT_FOUND)
BAD_JSON = error(
    400, "invalid_request_error", "Expected property name or '}' in JSON at position 1 (line 1 column 2)"
)
NO_TOOL = error(400, "invalid_request_error", "tools.invoke requires body.tool")
ONLY_POST = Answer(405, TEXT_TYPE, b"Method Not Allowed", allow="POST")


class Tools:
    """``POST /tools/invoke``. An answer depends on what is held and the body alone, so it is made once."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._answer = lru_cache(maxsize=1024)(_invoke)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = ONLY_POST if scope["method"] != "POST" else self._door.enter(scope)
        if isinstance(found, Tenant):
            found = self._answer(found, found.revision, await whole_body(receive))
        await found(scope, receive, send)


def _invoke(tenant: Tenant, _revision: int, body: bytes) -> Answer:
    try:
        call = json.loads(body)
    except ValueError:
        return BAD_JSON
    tool = call.get("tool") if isinstance(call, dict) else None
    if not isinstance(tool, str) or not tool:
        return NO_TOOL
    return _use(tool, tenant, call.get("args"))


def _use(tool: str, tenant: Tenant, args: Any) -> Answer:
    args = args if isinstance(args, dict) else {}
    limit = _whole(args.get("limit"), least=1, otherwise=50)
    match tool:
        case "sessions_list":
            message_limit = _whole(args.get("messageLimit"), least=0, otherwise=0)
            return _result(listed(tenant.held, tenant.version, limit, message_limit))
        case "sessions_history":
            return _result(history(tenant.held, tenant.version, str(args.get("sessionKey")), limit))
    unknown = {"type": "not_found", "message": f"Tool not available: {tool}"}
    return json_answer({"ok": False, "error": unknown}, 404)


def _whole(value: Any, least: int, otherwise: int) -> int:
    return max(least, value) if isinstance(value, int) else otherwise


def _result(details: dict[str, Any]) -> Answer:
    text = json.dumps(details, ensure_ascii=False, indent=2)
    return json_answer({"ok": True, "result": {"content": [{"type": "text", "text": text}], "details": details}})


def routes(now: datetime) -> dict[str, ASGIApp]:
    """Return the gateway's paths; any other is :data:`PAGE`."""
    started = time.monotonic()
    door = Door(tenants(now), PerMinute(WRONG_TOKENS_A_MINUTE))

    def ready() -> Answer:
        uptime = int((time.monotonic() - started) * 1000)
        return json_answer({"ready": True, "failing": [], "uptimeMs": uptime}, cache_control="no-store")

    return {
        "/healthz": json_answer({"ok": True, "status": "live"}, cache_control="no-store"),
        "/readyz": fresh(ready),
        "/api/status": NOT_FOUND,
        "/v1/chat/completions": Chat(door, NOT_FOUND),
        "/tools/invoke": Tools(door),
        "/api/agents/deploy": deploy,
    }

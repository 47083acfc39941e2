"""The pretend OpenClaw gateway: liveness and the session tools, for the shared token and each user's own."""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import HTML_TYPE, TEXT_TYPE, Answer, fresh, json_answer, plain_status, whole_body
from demo.conversations import Conversation, conversations, history, listed
from demo.people import EVERYWHERE, PEOPLE, SHARED_GATEWAY_TOKEN, GatewayVersion

PAGE = Answer(
    200,
    HTML_TYPE,
    b'<!doctype html>\n<html lang="en"><head><title>OpenClaw Control</title></head><body></body></html>\n',
    cache_control="no-cache",
)
NOT_FOUND = plain_status(HTTPStatus.NOT_FOUND)


def _error(status: int, kind: str, message: str) -> Answer:
    return json_answer({"error": {"message": message, "type": kind}}, status)


UNAUTHORIZED = _error(401, "unauthorized", "Unauthorized")
FORWARDED = _error(
    403,
    "proxy_attribution_required",
    "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and make the proxy "
    "overwrite or safely rebuild forwarded client headers.",
)
BAD_JSON = _error(
    400, "invalid_request_error", "Expected property name or '}' in JSON at position 1 (line 1 column 2)"
)
NO_TOOL = _error(400, "invalid_request_error", "tools.invoke requires body.tool")
ONLY_POST = Answer(405, TEXT_TYPE, b"Method Not Allowed", allow="POST")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who a token belongs to: their conversations, and the version of the gateway that tells of them."""

    version: GatewayVersion
    held: list[Conversation]


class Tools:
    """``POST /tools/invoke``. An answer depends on the token and the body alone, so it is made once."""

    def __init__(self, tenants: dict[str, Tenant]) -> None:
        self._tenants = tenants
        self._answer = lru_cache(maxsize=1024)(self._invoke)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization, forwarded = b"", False
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name.startswith(b"x-forwarded-"):
                forwarded = True
        if scope["method"] != "POST":
            answer = ONLY_POST
        elif forwarded:
            answer = FORWARDED
        else:
            answer = self._answer(authorization, await whole_body(receive))
        await answer(scope, receive, send)

    def _invoke(self, authorization: bytes, body: bytes) -> Answer:
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        tenant = self._tenants.get(token.strip())
        if tenant is None or scheme.lower() != "bearer":
            return UNAUTHORIZED
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
    error = {"type": "not_found", "message": f"Tool not available: {tool}"}
    return json_answer({"ok": False, "error": error}, 404)


def _whole(value: Any, least: int, otherwise: int) -> int:
    return max(least, value) if isinstance(value, int) else otherwise


def _result(details: dict[str, Any]) -> Answer:
    text = json.dumps(details, ensure_ascii=False, indent=2)
    return json_answer({"ok": True, "result": {"content": [{"type": "text", "text": text}], "details": details}})


def tenants(now: datetime) -> dict[str, Tenant]:
    """Return who each gateway token belongs to; the shared one is the platform's own."""
    shared = Tenant("2026.4.2", conversations("shared", EVERYWHERE, now))
    return {SHARED_GATEWAY_TOKEN: shared} | {
        person.gateway_token: Tenant(person.gateway, conversations(person.id, person.conversations, now))
        for person in PEOPLE
        if person.gateway_token
    }


def routes(now: datetime) -> dict[str, ASGIApp]:
    """Return the gateway's paths; any other is :data:`PAGE`."""
    started = time.monotonic()

    def ready() -> Answer:
        uptime = int((time.monotonic() - started) * 1000)
        return json_answer({"ready": True, "failing": [], "uptimeMs": uptime}, cache_control="no-store")

    return {
        "/healthz": json_answer({"ok": True, "status": "live"}, cache_control="no-store"),
        "/readyz": fresh(ready),
        "/api/status": NOT_FOUND,
        "/v1/chat/completions": NOT_FOUND,
        "/tools/invoke": Tools(tenants(now)),
    }

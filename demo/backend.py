"""The pretend agent management service: who may ask, how often, and what there is to ask for."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from demo.agents import ORDERS, UNVERIFIED, Agents, ManagedAgent, timestamp
from demo.asgi import HTML_TYPE, Answer, header, json_answer, whole_body
from demo.limits import PerMinute
from demo.people import BACKEND_API_KEY

UNAUTHORIZED = json_answer({"error": "Unauthorized"}, 401)
WRONG_KEY = json_answer({"error": "Forbidden"}, 403)
UNSIGNED = json_answer({"error": "Missing x-user-signature header", "code": "SIGNATURE_REQUIRED"}, 401)
WRONGLY_SIGNED = json_answer({"error": "Invalid user signature", "code": "INVALID_SIGNATURE"}, 401)
NO_AGENT = json_answer({"error": "Agent not found"}, 404)
NOT_THEIRS = json_answer({"error": "Forbidden \N{EM DASH} you do not own this agent"}, 403)
NO_STATS = json_answer({"error": "Failed to get container stats"}, 500)

VERIFICATION_TYPES = ("eas", "coinbase", "ens", "webauthn")
CHANNEL_TOKENS = ("telegramToken", "whatsappToken", "discordBotToken")


def page(status: int, text: str) -> Answer:
    """Return an error page as Express makes them."""
    head = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n'
    return Answer(status, HTML_TYPE, f"{head}<body>\n<pre>{escape(text)}</pre>\n</body>\n</html>\n".encode())


BAD_JSON = page(400, "SyntaxError: Expected property name or '}' in JSON\n at JSON.parse\n at parse (/srv/app)")


def _wrong(message: str) -> Answer:
    return json_answer({"error": message}, 400)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for something of an agent, by who may have it."""

    agent: ManagedAgent
    query: dict[str, str]
    body: Any
    now: datetime


def _agent(asked: Asked) -> Answer:
    return json_answer(asked.agent.described())


def _config(asked: Asked) -> Answer:
    return json_answer(asked.agent.config)


def _put_config(asked: Asked) -> Answer:
    if not isinstance(asked.body, dict):
        return _wrong("Configuration must be an object")
    kept = {name: value for name, value in asked.agent.config.items() if name == "gatewayToken"}
    asked.agent.config = asked.body | kept
    asked.agent.log("info", "Configuration applied", asked.now)
    return json_answer(asked.agent.config)


def _logs(asked: Asked) -> Answer:
    limit, level = asked.query.get("limit", "50"), asked.query.get("level")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= 100):
        return _wrong("limit must be a number from 1 to 100")
    found = [line for line in reversed(asked.agent.lines) if level in (None, line["level"])]
    return json_answer({"logs": found[: int(limit)], "total": len(found)})


def _verification(asked: Asked) -> Answer:
    return json_answer({"verified": asked.agent.verified} | asked.agent.verification)


def _verify(asked: Asked) -> Answer:
    given = asked.body if isinstance(asked.body, dict) else {}
    if given.get("verificationType") not in VERIFICATION_TYPES:
        return _wrong("Invalid verification type")
    told = {name: given.get(name) for name in ("verificationType", "attestationUid")}
    told["verifiedAt"] = timestamp(asked.now)
    metadata = {"checkedBy": "demo", "authToken": "demo-verifier-token"}
    asked.agent.verification = told | {"verifierAddress": given.get("walletAddress"), "metadata": metadata}
    return json_answer({"success": True, "verified": True} | told)


def _unverify(asked: Asked) -> Answer:
    asked.agent.verification = UNVERIFIED.copy()
    return json_answer({"success": True})


def _token(asked: Asked) -> Answer:
    return json_answer({"token": asked.agent.own_token()})


def _stats(asked: Asked) -> Answer:
    return json_answer(asked.agent.stats(asked.now)) if asked.agent.status == "active" else NO_STATS


def _order(name: str) -> Callable[[Asked], Answer]:
    def carry_out(asked: Asked) -> Answer:
        return json_answer({"success": True} | ORDERS[name](asked.agent, asked.now))

    return carry_out


_AGENT = "/api/agents/{id}"
_ROUTES = [
    (method, compile_path(path)[0], answer)
    for method, path, answer in (
        ("GET", _AGENT, _agent),
        ("GET", f"{_AGENT}/config", _config),
        ("PUT", f"{_AGENT}/config", _put_config),
        ("GET", f"{_AGENT}/logs", _logs),
        ("GET", f"{_AGENT}/verification", _verification),
        ("POST", f"{_AGENT}/verify", _verify),
        ("DELETE", f"{_AGENT}/verify", _unverify),
        ("GET", f"{_AGENT}/token", _token),
        ("GET", "/api/openclaw/instances/{id}/stats", _stats),
        *(("POST", f"{_AGENT}/{name}", _order(name)) for name in ORDERS),
    )
]


class Backend:
    """The service as an application. Its agents last as long as it does."""

    def __init__(self, limit: PerMinute, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._limit = limit
        self._clock = clock
        self._agents = Agents(clock())
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, await whole_body(receive))(scope, receive, send)

    def _answer(self, scope: Scope, content: bytes) -> Answer:
        try:
            body = msgspec.json.decode(content) if content else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return BAD_JSON
        client = scope["client"][0]
        if seconds := self._limit.wait(client):
            refused = {"error": "Too many requests, please slow down."}
            return json_answer(refused, 429, retry_after=str(seconds))
        self._limit.count(client)
        return self._route(scope, body)

    def _route(self, scope: Scope, body: Any) -> Answer:
        method, path = scope["method"], scope["path"]
        if (method, path) == ("POST", "/api/provision"):
            return _refusal(scope) or self._provision(scope, body)
        for its_method, pattern, answer in _ROUTES:
            if its_method == method and (found := pattern.match(path)):
                return _refusal(scope) or self._of_agent(found["id"], scope, body, answer)
        return page(404, f"Cannot {method} {path}")

    def _of_agent(self, agent_id: str, scope: Scope, body: Any, answer: Callable[[Asked], Answer]) -> Answer:
        user, now = header(scope, b"x-user-id").decode("latin-1"), self._clock()
        agent = self._agents.find(agent_id, user, now)
        if agent is None:
            return NO_AGENT
        if agent.owner != user and header(scope, b"x-user-role") != b"admin":
            return NOT_THEIRS
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        return answer(Asked(agent, query, body, now))

    def _provision(self, scope: Scope, body: Any) -> Answer:
        given = body if isinstance(body, dict) else {}
        if not any(given.get(name) for name in CHANNEL_TOKENS):
            return _wrong("At least one channel token required (Telegram, WhatsApp, or Discord)")
        self._streams += 1
        user, now = header(scope, b"x-user-id").decode("latin-1"), self._clock()
        seed = hashlib.sha256(f"{user} {self._streams}".encode()).hexdigest()
        agent = ManagedAgent(seed[:16], user, "active", now, str(given.get("plan", "free")))
        self._agents.add(agent, now)
        return json_answer(
            {
                "success": True,
                "userId": agent.id,
                "subdomain": agent.subdomain,
                "url": agent.url,
                "streamKey": f"live_{seed[16:28]}",
                "liveStreamId": f"stream_{seed[28:40]}",
                "aiProvider": given.get("aiProvider", "openrouter"),
            }
        )


def _refusal(scope: Scope) -> Answer | None:
    """Return what who has no key, or speaks for a user without the signature, is told."""
    authorization = header(scope, b"authorization")
    if not authorization:
        return UNAUTHORIZED
    if authorization != f"Bearer {BACKEND_API_KEY}".encode():
        return WRONG_KEY
    signature = header(scope, b"x-user-signature")
    if not signature:
        return UNSIGNED
    signed = b":".join(header(scope, name) for name in (b"x-user-id", b"x-user-email", b"x-user-role"))
    right = hmac.new(BACKEND_API_KEY.encode(), signed, hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(signature, right.encode()) else WRONGLY_SIGNED

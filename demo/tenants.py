"""Who a gateway token belongs to, and how often a client may get it wrong."""

from dataclasses import dataclass
from datetime import datetime

from starlette.types import Scope

from demo.asgi import Answer, json_answer
from demo.conversations import Conversation, conversations, opened
from demo.limits import PerMinute
from demo.people import EVERYWHERE, PEOPLE, SHARED_GATEWAY_TOKEN, GatewayVersion

WRONG_TOKENS_A_MINUTE = 10


def error(status: int, kind: str, message: str, **headers: str) -> Answer:
    """Return an error in OpenClaw's words."""
    return json_answer({"error": {"message": message, "type": kind}}, status, **headers)


UNAUTHORIZED = error(401, "unauthorized", "Unauthorized")
FORWARDED = error(
    403,
    "proxy_attribution_required",
    "Proxy client attribution is required. Configure gateway.trustedProxies narrowly and make the proxy "
    "overwrite or safely rebuild forwarded client headers.",
)


@dataclass(slots=True, eq=False)
class Tenant:
    """A token's conversations, newest first, and the version of the gateway that tells of them.

    ``revision`` changes with what is held.
    """

    version: GatewayVersion
    held: list[Conversation]
    revision: int = 0

    def conversation(self, user: str | None) -> Conversation:
        """Return the conversation of the chats by that name; without a name, or of a new one, an empty one."""
        new = opened(user)
        return next((one for one in self.held if one.key == new.key), new)

    def hold(self, conversation: Conversation) -> None:
        """Keep the conversation, in place of what was held of it, as the newest one."""
        self.held = [conversation, *(one for one in self.held if one.key != conversation.key)]
        self.revision += 1


def tenants(now: datetime) -> dict[str, Tenant]:
    """Return who each gateway token belongs to; the shared one is the platform's own."""
    shared = Tenant("2026.4.2", conversations("shared", EVERYWHERE, now))
    return {SHARED_GATEWAY_TOKEN: shared} | {
        person.gateway_token: Tenant(person.gateway, conversations(person.id, person.conversations, now))
        for person in PEOPLE
        if person.gateway_token
    }


class Door:
    """Lets in who has a token. A client with too many wrong ones is locked out, with a good one too."""

    def __init__(self, known: dict[str, Tenant], wrong: PerMinute) -> None:
        self._known = known
        self._wrong = wrong

    def enter(self, scope: Scope) -> Tenant | Answer:
        """Return whose token the request has, else the answer that refuses it."""
        authorization = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name.startswith(b"x-forwarded-"):
                return FORWARDED
        client = scope["client"][0]
        if seconds := self._wrong.wait(client):
            message = "Too many failed authentication attempts. Please try again later."
            return error(429, "rate_limited", message, retry_after=str(seconds))
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        token = token.strip()
        tenant = self._known.get(token)
        if tenant is not None and scheme.lower() == "bearer":
            return tenant
        if token:
            self._wrong.count(client)
        return UNAUTHORIZED

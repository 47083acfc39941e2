"""The pretend Clerk: one organization's members, its keys, and session tokens of both claim versions."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs

from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import Answer, header, json_answer
from demo.people import ADMIN, PEOPLE

SECRET_KEY = "sk_test_demo-clerk-secret-key"
ISSUER = "https://clerk.demo.example"
AUTHORIZED_PARTY = "https://app.demo.example"
ORGANIZATION = "org_demo"
JWKS = "/.well-known/jwks.json"
MEMBERSHIPS = f"/v1/organizations/{ORGANIZATION}/memberships"

MOST_AT_ONCE = 500
TOKEN_SECONDS = 86_400  # a real one lives for a minute, and is got anew by a browser

_DEPARTMENTS = ("engineering", "sales", "support")
# Clerk names its own kind of token in the header; no other library knows the field.
_HEADERS = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)


def error(status: int, code: str, message: str) -> Answer:
    """Return an error in Clerk's words."""
    return json_answer({"errors": [{"message": message, "long_message": message, "code": code}]}, status)


UNAUTHORIZED = error(401, "clerk_key_invalid", "The provided Clerk Secret Key is invalid.")
NOT_FOUND = error(404, "resource_not_found", "not found")
BAD_PAGE = error(422, "form_param_invalid", "limit must be from 1 to 500, offset at least 0")


@dataclass(frozen=True, slots=True)
class OrganizationMember:
    user_id: str
    role: str
    public_metadata: dict[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return the membership as the Backend API tells it."""
        return {
            "object": "organization_membership",
            "id": f"orgmem_{self.user_id}",
            "role": self.role,
            "public_metadata": self.public_metadata,
            "private_metadata": {"note": "for nobody's eyes"},
            "public_user_data": {"user_id": self.user_id, "identifier": f"{self.user_id}@example.com"},
        }


def _people() -> list[OrganizationMember]:
    return [
        OrganizationMember(
            person.id,
            "org:admin" if person is ADMIN else "org:member",
            {"department": _DEPARTMENTS[number % 3], "level": number % 4, "remote": number % 2 == 0},
        )
        for number, person in enumerate(PEOPLE)
    ]


class Clerk:
    """An instance with a key of its own; ``members`` are those of its one organization."""

    def __init__(
        self, members: Sequence[OrganizationMember] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._members = tuple(_people() if members is None else members)
        self._roles = {member.user_id: member.role for member in self._members}
        self._clock = clock
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def token(self, user_id: str, *, version: Literal[1, 2] = 2, **claims: Any) -> str:
        """Return a session token of the user, who is in the organization if a member; ``claims`` go over it."""
        now = int(self._clock())
        told = {
            "azp": AUTHORIZED_PARTY,
            "exp": now + TOKEN_SECONDS,
            "iat": now,
            "iss": ISSUER,
            "nbf": now - 10,
            "sid": f"sess_{user_id}",
            "sub": user_id,
        }
        head = {"alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(head, told | self._membership(user_id, version) | claims, self._key, registry=_HEADERS)

    def _membership(self, user_id: str, version: Literal[1, 2]) -> dict[str, Any]:
        role = self._roles.get(user_id)
        if version == 1:
            return {} if role is None else {"org_id": ORGANIZATION, "org_role": role, "org_slug": "demo"}
        if role is None:
            return {"v": 2}
        return {"v": 2, "o": {"id": ORGANIZATION, "rol": role.removeprefix("org:"), "slg": "demo"}}

    def jwks(self) -> dict[str, Any]:
        """Return the public keys."""
        return {"keys": [self._key.as_dict(private=False)]}

    def page(self, limit: int, offset: int) -> dict[str, Any]:
        """Return ``limit`` memberships from ``offset`` on."""
        members = self._members[offset : offset + limit]
        return {"data": [member.described() for member in members], "total_count": len(self._members)}


class BackendApi:
    """``GET /v1/organizations/{org}/memberships`` of the one organization, for who has the secret key."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        self._authorization = f"Bearer {SECRET_KEY}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Answer:
        if header(scope, b"authorization") != self._authorization:
            return UNAUTHORIZED
        return self._page(scope["query_string"]) if scope["path"] == MEMBERSHIPS else NOT_FOUND

    def _page(self, query: bytes) -> Answer:
        asked = parse_qs(query.decode("latin-1"))
        limit, offset = asked.get("limit", ["10"])[0], asked.get("offset", ["0"])[0]
        if not all(text.isascii() and text.isdigit() for text in (limit, offset)):
            return BAD_PAGE
        if not 1 <= int(limit) <= MOST_AT_ONCE:
            return BAD_PAGE
        return json_answer(self._clerk.page(int(limit), int(offset)))


def routes(clerk: Clerk) -> dict[str, ASGIApp]:
    """Return the paths that anybody may ask for; any other is :class:`BackendApi`'s."""
    return {JWKS: json_answer(clerk.jwks())}

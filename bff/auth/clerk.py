"""Clerk session tokens: JWTs signed with RS256 by the instance's own keys (contract.md, "Clerk tokens")."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from bff.clock import utc_now
from upstreams.clerk import ClerkKeys
from upstreams.pipe import UNDECODABLE

# Clerk's own header field "cat" is one that the library does not know.
_REGISTRY: Final = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
_MAX_TOKEN_CHARS: Final = 16 * 1024
_MAX_ID_CHARS: Final = 255

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=_MAX_ID_CHARS)]
Moment = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # to the end of year 9999


@dataclass(frozen=True, slots=True)
class ClerkClaims:
    """Who has the token; with an organization the role in it, like ``org:admin``."""

    user_id: str
    org_id: str | None
    role: str | None
    expires: datetime


class Organization(msgspec.Struct, frozen=True):
    """The organization claim of version 2; ``rol`` goes without its ``org:``."""

    id: Id
    rol: Id


class Payload(msgspec.Struct, frozen=True):
    """The claims that are used. Times in seconds since 1970."""

    iss: str
    sub: Id
    exp: Moment
    nbf: Moment = 0.0
    azp: str | None = None
    v: Literal[1, 2] = 1
    o: Organization | None = None
    org_id: str | None = None
    org_role: str | None = None


_PAYLOAD = msgspec.json.Decoder(Payload)


class ClerkTokens:
    """Checks tokens. Without ``authorized_parties`` a token may be any party's; ``leeway`` in seconds."""

    def __init__(
        self, keys: ClerkKeys, issuer: str, authorized_parties: Collection[str], leeway: float = 5
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._parties = frozenset(authorized_parties)
        self._leeway = leeway

    async def verify(self, token: str) -> ClerkClaims | None:
        """Return what the token says, None when it is not a good one.

        Nothing that it says is read before its signature is checked, except which key that is to be made with.
        Raises UpstreamFailure when nobody can tell whether there is such a key.
        """
        signed = _signed(token)
        if signed is None:
            return None
        key = await self._keys.key(signed.headers()["kid"])
        payload = None if key is None else _payload(signed, key)
        return _claims(payload) if payload is not None and self._is_good(payload) else None

    def _is_good(self, payload: Payload) -> bool:
        now = utc_now().timestamp()
        return (
            payload.iss == self._issuer
            and payload.nbf - self._leeway <= now < payload.exp + self._leeway
            and (payload.azp is None or not self._parties or payload.azp in self._parties)
        )


def _signed(token: str) -> jws.CompactSignature | None:
    """Return the token as it is before anything of it is believed, None when it cannot be a good one."""
    if len(token) > _MAX_TOKEN_CHARS or not token.isascii():
        return None
    try:
        signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
        return signed if _is_clerks(signed.headers()) else None
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _is_clerks(header: Any) -> bool:
    """Return whether a token of Clerk's may have this header.

    Keys that come along (``jwk``, ``jku``, ``x5u``, ...) are never looked at. Clerk uses no extension
    (``crit``), so one that is critical is none that could be understood.
    """
    if not isinstance(header, dict) or "crit" in header or "b64" in header:
        return False
    kid = header.get("kid")
    return header.get("alg") == "RS256" and isinstance(kid, str) and 0 < len(kid) <= _MAX_ID_CHARS


def _payload(signed: jws.CompactSignature, key: RSAKey) -> Payload | None:
    """Return the claims if they were signed with ``key``."""
    try:
        is_genuine = jws.validate_compact(signed, key, registry=_REGISTRY)
        return _PAYLOAD.decode(signed.payload) if is_genuine else None
    except (JoseError, *UNDECODABLE):
        return None


def _claims(payload: Payload) -> ClerkClaims | None:
    org_id, role = payload.org_id, payload.org_role
    if payload.v == 2:
        org_id, role = (payload.o.id, f"org:{payload.o.rol}") if payload.o else (None, None)
    expires = datetime.fromtimestamp(payload.exp, UTC)
    if not all(part is None or _is_sane(part) for part in (payload.sub, org_id, role)):
        return None
    return (
        ClerkClaims(payload.sub, org_id, role, expires)
        if org_id
        else ClerkClaims(payload.sub, None, None, expires)
    )


def _is_sane(text: str) -> bool:
    return text.isprintable() and len(text) <= _MAX_ID_CHARS

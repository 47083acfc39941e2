"""Who is asking, by a Clerk token: a member of an organization (contract.md, "Who is asking")."""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cachetools import TTLCache

from bff.auth.clerk import ClerkClaims, ClerkTokens
from bff.auth.credentials import bearer
from bff.auth.doors import ANYONE
from bff.cache.keys import credential_key
from bff.clock import monotonic, utc_now
from bff.plans.operation import Caller, Member, Refused
from upstreams.failure import Reason, UpstreamFailure

_MAX_KNOWN: Final = 20_000
_LOG_ID_CHARS: Final = 12
_ADMIN: Final = "org:admin"


class MemberDoor:
    """Lets in members of an organization; a token once checked is not checked again for ``ttl`` seconds.

    ``tokens`` is None when Clerk is not configured.
    """

    def __init__(self, tokens: ClerkTokens | None, *, ttl: float) -> None:
        self._tokens = tokens
        self._known: TTLCache[bytes, tuple[Member, datetime]] = TTLCache(_MAX_KNOWN, ttl, timer=monotonic)

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        token = bearer(headers)
        found = self._known.get(credential_key("clerk", token)) if token else None
        return found[0] if found is not None and utc_now() < found[1] else None

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:  # noqa: ARG002
        known = self.known(headers)
        if known is not None:
            return known
        token = bearer(headers)
        claims = await self._verified(token, expires) if token else None
        if token is None or claims is None:
            raise Refused(401, "Unauthorized")
        if claims.org_id is None:
            raise Refused(403, "Forbidden")
        member = _member(claims, claims.org_id)
        self._known[credential_key("clerk", token)] = member, claims.expires
        return member

    async def _verified(self, token: str, expires: float) -> ClerkClaims | None:
        if self._tokens is None:
            raise UpstreamFailure("clerk", Reason.DISABLED)
        try:
            async with asyncio.timeout_at(expires):
                return await self._tokens.verify(token)
        except TimeoutError as error:
            raise UpstreamFailure("clerk", Reason.TIMEOUT) from error


def _member(claims: ClerkClaims, organization: str) -> Member:
    log_id = hashlib.sha256(claims.user_id.encode()).hexdigest()[:_LOG_ID_CHARS]
    return Member(
        claims.user_id, None, log_id, ANYONE.found, is_admin=claims.role == _ADMIN, organization=organization
    )

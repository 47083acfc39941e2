"""Whose session it is: asked of the user store once, known for a while, negative answers too."""

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cachetools import TTLCache

from bff.auth.credentials import Credential, Kind
from bff.auth.nextauth import NextAuthSessions
from bff.cache.keys import credential_key
from bff.cache.single_flight import SingleFlight
from bff.clock import monotonic, utc_now
from bff.plans.operation import Caller
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import Account, UserStore

_MAX_KNOWN = 20_000
_MAX_UNKNOWN = 20_000
_LOG_ID_CHARS = 12


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a credential is, until when (UTC), and when that was checked (seconds of the monotonic clock)."""

    caller: Caller
    expires: datetime
    checked_at: float


class Identities:
    """Turns credentials into callers.

    Times in seconds: what was checked within ``ttl`` is not asked again; what was checked within ``stale``
    still serves reads while the store cannot answer.
    """

    def __init__(
        self,
        users: UserStore,
        nextauth: NextAuthSessions | None,
        admin_emails: Collection[str],
        *,
        ttl: float,
        stale: float,
    ) -> None:
        self._users = users
        self._nextauth = nextauth
        self._admins = frozenset(email.strip().lower() for email in admin_emails) - {""}
        self._ttl = ttl
        self._stale = stale
        self._known: TTLCache[bytes, Identity] = TTLCache(_MAX_KNOWN, max(ttl, stale), timer=monotonic)
        self._unknown: TTLCache[bytes, bool] = TTLCache(_MAX_UNKNOWN, ttl, timer=monotonic)
        self._flights: SingleFlight[Identity | None] = SingleFlight()

    def known(self, credential: Credential) -> Identity | None:
        """Return whose credential it is if that need not be asked, else None."""
        identity = self._known.get(credential_key(credential.kind.value, credential.token))
        return identity if identity and self.is_current(identity) else None

    def is_current(self, identity: Identity) -> bool:
        """Return whether ``identity`` still holds without being checked again."""
        return monotonic() - identity.checked_at < self._ttl and utc_now() < identity.expires

    async def find(self, credential: Credential, *, reads: bool, expires: float) -> Caller | None:
        """Return whose credential it is, None when nobody's, by ``expires`` (the event loop's time, seconds).

        Raises UpstreamFailure when the store cannot tell; a recent identity then still serves ``reads``.
        """
        key = credential_key(credential.kind.value, credential.token)
        known = self._known.get(key)
        if known is not None and utc_now() >= known.expires:
            del self._known[key]
            known = None
        if known is not None and self.is_current(known):
            return known.caller
        if key in self._unknown:
            return None
        try:
            found = await self._look_up(key, credential, expires)
        except UpstreamFailure:
            if known is None or not reads or monotonic() - known.checked_at >= self._stale:
                raise
            return known.caller
        if found is None:
            return None
        if known is not None and reads and isinstance(found.caller.found, UpstreamFailure):
            return known.caller
        return found.caller

    async def _look_up(self, key: bytes, credential: Credential, expires: float) -> Identity | None:
        flight, _ = self._flights.join(key, lambda: self._ask(key, credential))
        try:
            async with asyncio.timeout_at(expires):
                return await asyncio.shield(flight)
        except TimeoutError as error:
            raise UpstreamFailure("user_store", Reason.TIMEOUT) from error

    async def _ask(self, key: bytes, credential: Credential) -> Identity | None:
        ask = self._opaque if credential.kind is Kind.OPAQUE else self._encrypted
        found = await ask(credential.token)
        if found is None:
            self._known.pop(key, None)
            self._unknown[key] = True
        elif isinstance(found.caller.found, Account):
            self._known[key] = found
        return found

    async def _opaque(self, token: str) -> Identity | None:
        owner = await self._users.session(token, utc_now())
        if owner is None:
            return None
        account = owner.account
        return Identity(self._caller(account.user_id, account.email, account), owner.expires, monotonic())

    async def _encrypted(self, token: str) -> Identity | None:
        claims = self._nextauth.open(token) if self._nextauth else None
        if claims is None or claims.expires <= utc_now():
            return None
        account: Account | UpstreamFailure
        try:
            account = await self._users.account(claims.user_id) or Account(claims.user_id, claims.email)
        except UpstreamFailure as failure:
            account = failure  # the token itself says who it is; only the way to the user's gateway is unknown
        # The store's e-mail goes first: a token keeps the one its user had when it was made.
        email = (account.email if isinstance(account, Account) else None) or claims.email
        return Identity(self._caller(claims.user_id, email, account), claims.expires, monotonic())

    def _caller(self, user_id: str, email: str | None, found: Account | UpstreamFailure) -> Caller:
        log_id = hashlib.sha256(user_id.encode()).hexdigest()[:_LOG_ID_CHARS]
        return Caller(user_id, email, log_id, found, is_admin=(email or "").lower() in self._admins)

    async def close(self) -> None:
        await self._flights.close()

"""What an operation demands of its caller."""

from collections.abc import Collection, Mapping
from typing import Final

from cachetools import LRUCache

from bff.auth.credentials import CredentialReader
from bff.auth.identities import Identities, Identity
from bff.cache.keys import headers_key
from bff.plans.plan import Access, Caller, Refused
from upstreams.failure import Reason, UpstreamFailure

_MAX_REMEMBERED: Final = 20_000

ANYONE: Final = Caller("", None, "-", UpstreamFailure("user_store", Reason.DISABLED))


class Authenticator:
    def __init__(self, reader: CredentialReader, identities: Identities, admin_emails: Collection[str]) -> None:
        self._reader = reader
        self._identities = identities
        # Reading the headers costs more than all the rest of finding out who sent the same ones a moment ago.
        self._remembered: LRUCache[bytes, Identity] = LRUCache(_MAX_REMEMBERED)
        self._admins = frozenset(email.strip().lower() for email in admin_emails) - {""}

    def known(self, headers: Mapping[bytes, bytes], access: Access) -> Caller | None:
        """Return who is asking if that one may and need not be asked for, else None: then ``admit`` tells."""
        if access is Access.ANYONE:
            return ANYONE
        key = headers_key(headers.get(b"cookie", b""), headers.get(b"authorization", b""))
        identity = self._remembered.get(key)
        if identity is None or not self._identities.is_current(identity):
            first = next(iter(self._reader.read(headers)), None)
            identity = self._identities.known(first) if first else None
            if identity is None:
                return None
            self._remembered[key] = identity
        caller = identity.caller
        return caller if access is not Access.ADMIN or self.is_admin(caller) else None

    async def admit(
        self, headers: Mapping[bytes, bytes], access: Access, *, reads: bool, expires: float
    ) -> Caller:
        """Return who is asking. Raises Refused when that one may not, UpstreamFailure when nobody can tell."""
        if access is Access.ANYONE:
            return ANYONE
        caller = await self._identify(headers, reads=reads, expires=expires)
        if access is Access.ADMIN and (caller is None or not self.is_admin(caller)):
            raise Refused(403, "Unauthorized")
        if caller is None:
            raise Refused(401, "Unauthorized")
        return caller

    def is_admin(self, caller: Caller) -> bool:
        return caller.email is not None and caller.email.lower() in self._admins

    async def _identify(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller | None:
        for credential in self._reader.read(headers):
            caller = await self._identities.find(credential, reads=reads, expires=expires)
            if caller is not None:
                return caller
        return None

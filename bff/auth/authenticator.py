"""What an operation demands of its caller."""

from collections.abc import Collection, Mapping
from typing import Final

from bff.auth.credentials import CredentialReader
from bff.auth.identities import Identities
from bff.plans.plan import Access, Caller, Refused
from upstreams.failure import Reason, UpstreamFailure

ANYONE: Final = Caller("", None, "-", UpstreamFailure("user_store", Reason.DISABLED))


class Authenticator:
    def __init__(self, reader: CredentialReader, identities: Identities, admin_emails: Collection[str]) -> None:
        self._reader = reader
        self._identities = identities
        self._admins = frozenset(email.strip().lower() for email in admin_emails) - {""}

    def known(self, headers: Mapping[bytes, bytes], access: Access) -> Caller | None:
        """Return who is asking if that one may and need not be asked for, else None: then ``admit`` tells."""
        if access is Access.ANYONE:
            return ANYONE
        first = next(iter(self._reader.read(headers)), None)
        caller = self._identities.known(first) if first else None
        if caller is None or (access is Access.ADMIN and not self.is_admin(caller)):
            return None
        return caller

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

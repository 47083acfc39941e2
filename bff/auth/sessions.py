"""Who is asking, by the session that the request's headers carry."""

from collections.abc import Mapping
from typing import Final

from cachetools import LRUCache

from bff.auth.credentials import CredentialReader
from bff.auth.identities import Identities, Identity
from bff.cache.keys import headers_key
from bff.plans.operation import Caller

_MAX_REMEMBERED: Final = 20_000


class Sessions:
    def __init__(self, reader: CredentialReader, identities: Identities) -> None:
        self._reader = reader
        self._identities = identities
        # Reading the headers costs more than all the rest of finding out who sent the same ones a moment ago.
        self._remembered: LRUCache[bytes, Identity] = LRUCache(_MAX_REMEMBERED)

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Return whose session it is if that need not be asked for, else None."""
        key = headers_key(headers.get(b"cookie", b""), headers.get(b"authorization", b""))
        identity = self._remembered.get(key)
        if identity is None or not self._identities.is_current(identity):
            first = next(iter(self._reader.read(headers)), None)
            identity = self._identities.known(first) if first else None
            if identity is None:
                return None
            self._remembered[key] = identity
        return identity.caller

    async def find(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller | None:
        """Return whose session it is, None when nobody's, by ``expires`` (the event loop's time, seconds).

        Raises UpstreamFailure when nobody can tell.
        """
        for credential in self._reader.read(headers):
            caller = await self._identities.find(credential, reads=reads, expires=expires)
            if caller is not None:
                return caller
        return None

"""The ways to find out who is asking, one for each kind of credential and demand."""

from collections.abc import Mapping
from typing import Final, Protocol

from bff.auth.sessions import Sessions
from bff.plans.operation import Caller, Refused
from upstreams.failure import Reason, UpstreamFailure

ANYONE: Final = Caller("", None, "-", UpstreamFailure("user_store", Reason.DISABLED))


class Door(Protocol):
    """One way to find out who is asking."""

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Return who is asking if that one may and need not be asked for, else None: then ``admit`` tells."""

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:
        """Return who is asking, by ``expires`` (the event loop's time, seconds).

        Raises Refused when that one may not, UpstreamFailure when nobody can tell.
        """


class OpenDoor:
    """Lets in whoever comes, as nobody."""

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:  # noqa: ARG002
        return ANYONE

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:  # noqa: ARG002
        return ANYONE


class SessionDoor:
    """Lets in whoever has a session; to others says Unauthorized with ``status``."""

    def __init__(self, sessions: Sessions, *, status: int = 401) -> None:
        self._sessions = sessions
        self._status = status

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        return self._sessions.known(headers)

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:
        caller = await self._sessions.find(headers, reads=reads, expires=expires)
        if caller is None:
            raise Refused(self._status, "Unauthorized")
        return caller


class AdminDoor:
    """Lets in whoever has an admin's session."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        caller = self._sessions.known(headers)
        return caller if caller is not None and caller.is_admin else None

    async def admit(self, headers: Mapping[bytes, bytes], *, reads: bool, expires: float) -> Caller:
        caller = await self._sessions.find(headers, reads=reads, expires=expires)
        if caller is None or not caller.is_admin:
            raise Refused(403, "Unauthorized")
        return caller

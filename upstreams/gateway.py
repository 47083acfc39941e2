"""An OpenClaw gateway: whose it is, where it is, and whether it is alive (upstreams.md, "gateway")."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import msgspec
from cachetools import TTLCache

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, HostRules, Pipe, enabled
from upstreams.user_store import Account

_UNAUTHORIZED = 401
_NOT_FOUND = 404
_MAX_BYTES = 64 * 1024
_REFUSED_SECONDS = 10.0
_MAX_REFUSED = 10_000


class GatewayDirectory:
    """Finds a user's gateway: the user's own ``openclawUrl``, else the shared one; its token likewise."""

    def __init__(self, shared: Address | None, shared_token: str | None, rules: HostRules) -> None:
        self._shared = shared
        self._shared_token = shared_token
        self._rules = rules

    def address(self, account: Account, upstream: str) -> Address:
        """Return where the user's gateway is. Raises UpstreamFailure when there is none that may be asked."""
        own = account.openclaw_url
        return enabled(self._shared if own is None else self._rules.address(own), upstream)

    def token(self, account: Account, at: Address) -> str | None:
        """Return the bearer token for the user's gateway ``at``: the user's own, else the shared one.

        The shared one goes only where the operator named the host: what merely matches a suffix may be
        anybody's.
        """
        token = account.gateway_token or (None if at.public_only else self._shared_token)
        return token if token is None or _is_header_text(token) else None

    def is_private(self, account: Account) -> bool:
        """Return whether the user is asked for with a token of the user's own, not the shared one."""
        return account.gateway_token not in (None, self._shared_token)


class RefusedTokens:
    """The tokens that gateways have just refused: one that sees too many of those locks out good ones too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._refused: TTLCache[tuple[str, str | None], bool] = TTLCache(_MAX_REFUSED, _REFUSED_SECONDS, clock)

    @contextmanager
    def noted(self, upstream: str, at: Address, token: str | None) -> Iterator[None]:
        """Note when what is done within is refused with 401.

        Raises UpstreamFailure (``status`` 401) at once when ``token`` was refused there less than 10 s ago.
        """
        credential = (at.origin, token)
        if credential in self._refused:
            raise UpstreamFailure(upstream, Reason.STATUS, status=_UNAUTHORIZED)
        try:
            yield
        except UpstreamFailure as failure:
            if failure.status == _UNAUTHORIZED:
                self._refused[credential] = True
            raise


class Liveness(msgspec.Struct, frozen=True):
    """``GET /healthz`` of OpenClaw."""

    ok: bool


class ManagedStatus(msgspec.Struct, frozen=True):
    """``GET /api/status`` of older managed gateways."""

    running: bool


class Readiness(msgspec.Struct, frozen=True, rename="camel"):
    """``GET /readyz`` of OpenClaw."""

    uptime_ms: Annotated[float, msgspec.Meta(ge=0, le=2**53 - 1)]


_LIVENESS = msgspec.json.Decoder(Liveness)
_MANAGED = msgspec.json.Decoder(ManagedStatus)
_READINESS = msgspec.json.Decoder(Readiness)


class Gateway:
    def __init__(self, pipe: Pipe, directory: GatewayDirectory) -> None:
        self._pipe = pipe
        self._directory = directory

    def address(self, account: Account) -> Address:
        """Return where the user's gateway is. Raises UpstreamFailure when there is none that may be asked."""
        return self._directory.address(account, self._pipe.upstream)

    async def health(self, account: Account) -> bool:
        """Return True when the user's gateway is alive. Raises UpstreamFailure when it is not. Needs no token."""
        at = self.address(account)
        try:
            alive = (await self._pipe.get(at, "/healthz", into=_LIVENESS, max_bytes=_MAX_BYTES)).ok
        except UpstreamFailure as failure:
            if not _lacks_healthz(failure):
                raise
            alive = await self._managed(at, failure)
        if not alive:
            raise UpstreamFailure(self._pipe.upstream, Reason.STATUS)
        return True

    async def uptime(self, account: Account) -> float:
        """Return for how many seconds the user's gateway has been up. Raises UpstreamFailure. Needs no token."""
        readiness = await self._pipe.get(self.address(account), "/readyz", into=_READINESS, max_bytes=_MAX_BYTES)
        return readiness.uptime_ms / 1000

    async def _managed(self, at: Address, missing: UpstreamFailure) -> bool:
        try:
            return (await self._pipe.get(at, "/api/status", into=_MANAGED, max_bytes=_MAX_BYTES)).running
        except UpstreamFailure:
            raise missing from None


def _is_header_text(token: str) -> bool:
    return token.isascii() and token.isprintable()


def _lacks_healthz(failure: UpstreamFailure) -> bool:
    # A gateway answers paths it does not know with 404 or, behind its control page, with HTML and 200.
    return failure.reason is Reason.MALFORMED or failure.status == _NOT_FOUND

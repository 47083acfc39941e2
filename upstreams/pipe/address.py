"""Where an upstream lives, and which addresses a database row may name (upstreams.md: "it is input")."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import httpx

from upstreams.failure import Reason, UpstreamFailure

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_URL_CHARS = 2048
_MAX_PORT = 65535
_HOST = re.compile(rb"[a-z0-9._-]+|[0-9A-Fa-f:.]+")  # no backslash or percent sign, which resolvers may interpret


@dataclass(frozen=True, slots=True)
class Address:
    """An upstream's base URL. ``public_only``: it may only be reached at a public network address."""

    base: str
    origin: str
    public_only: bool

    @classmethod
    def parse(cls, url: str, *, public_only: bool = False) -> "Address":
        """Return the address of ``url``; raise ValueError when it is not a plain http(s) base URL."""
        if len(url) > _MAX_URL_CHARS:
            raise ValueError("a URL of at most 2048 characters")
        try:
            parsed = httpx.URL(url)
            host = parsed.host.lower()
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError("a valid URL") from error
        if parsed.scheme not in _DEFAULT_PORTS or not host:
            raise ValueError("an http:// or https:// URL")
        if not _HOST.fullmatch(parsed.raw_host):
            raise ValueError("a valid host")
        if parsed.userinfo or "?" in url or "#" in url:
            raise ValueError("a URL without user, query or fragment")
        port = _DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
        if not 0 < port <= _MAX_PORT:
            raise ValueError("a port from 1 to 65535")
        origin = f"{parsed.scheme}://{_bracketed(host)}:{port}"
        return cls(base=str(parsed).rstrip("/"), origin=origin, public_only=public_only)

    def url(self, path: str) -> httpx.URL:
        return _join(self.base, path)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@lru_cache(maxsize=4096)
def _join(base: str, path: str) -> httpx.URL:
    return httpx.URL(base + path)


def enabled(address: Address | None, upstream: str) -> Address:
    """Return ``address``; raise UpstreamFailure (``disabled``) when the upstream has none."""
    if address is None:
        raise UpstreamFailure(upstream, Reason.DISABLED)
    return address


class HostRules:
    """Which hosts a user's own gateway may have: ``host``, ``host:port`` or ``*.suffix``.

    Naming a host in full is the operator's word that it may be reached wherever it resolves to, also at a
    private address; what only matches a suffix must resolve to a public one.
    """

    def __init__(self, allowed: Sequence[str], shared: Address | None) -> None:
        patterns = [pattern.strip().lower() for pattern in allowed]
        self._suffixes = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*."))
        self._exact = frozenset(pattern for pattern in patterns if not pattern.startswith("*."))
        self._shared_origin = shared.origin if shared else None
        self._known = lru_cache(maxsize=4096)(self._decide)

    def address(self, url: str) -> Address | None:
        """Return where ``url`` may be asked, or None when it may not."""
        return self._known(url) if len(url) <= _MAX_URL_CHARS else None

    def _decide(self, url: str) -> Address | None:
        try:
            address = Address.parse(url)
        except ValueError:
            return None
        if address.origin == self._shared_origin:
            return address
        authority = address.origin.partition("://")[2]
        host = authority.rpartition(":")[0]
        if not self._exact.isdisjoint((authority, host, host.strip("[]"))):
            return address
        if host.endswith(self._suffixes):
            return Address(address.base, address.origin, public_only=True)
        return None

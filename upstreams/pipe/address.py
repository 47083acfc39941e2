"""Where an upstream lives, and which addresses a database row may name (upstreams.md: "it is input")."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import httpx

from upstreams.failure import Reason, UpstreamFailure

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_URL_CHARS = 2048


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
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError("a valid URL") from error
        if parsed.scheme not in _DEFAULT_PORTS or not parsed.host:
            raise ValueError("an http:// or https:// URL")
        if parsed.userinfo or parsed.query or parsed.fragment:
            raise ValueError("a URL without user, query or fragment")
        port = parsed.port or _DEFAULT_PORTS[parsed.scheme]
        origin = f"{parsed.scheme}://{parsed.host.lower()}:{port}"
        return cls(base=str(parsed).rstrip("/"), origin=origin, public_only=public_only)

    def url(self, path: str) -> httpx.URL:
        return _join(self.base, path)


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
        patterns = [pattern.strip().lower().strip("[]") for pattern in allowed]
        self._suffixes = tuple(pattern[1:] for pattern in patterns if pattern.startswith("*."))
        self._exact = frozenset(pattern for pattern in patterns if not pattern.startswith("*."))
        self._shared_origin = shared.origin if shared else None

    def address(self, url: str) -> Address | None:
        """Return where ``url`` may be asked, or None when it may not."""
        try:
            address = Address.parse(url)
        except ValueError:
            return None
        if address.origin == self._shared_origin:
            return address
        host = httpx.URL(address.base).host.lower()
        port = address.origin.rpartition(":")[2]
        if host in self._exact or f"{host}:{port}" in self._exact:
            return address
        if host.endswith(self._suffixes):
            return Address(address.base, address.origin, public_only=True)
        return None

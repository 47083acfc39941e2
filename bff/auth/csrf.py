"""Requests that a browser was made to send from elsewhere (contract.md, "Unsafe methods")."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({b"same-origin", b"none"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_forged(headers: Mapping[bytes, bytes], allowed_origins: Collection[str]) -> bool:
    """Return whether the headers of an unsafe request with a session cookie tell that it comes from elsewhere.

    ``Sec-Fetch-Site`` decides, without it ``Origin``; a request with neither is not a browser's.
    """
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and origin in allowed_origins:
        return False
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITES
    return bool(origin) and not _is_own(origin, headers.get(b"host", b"").decode("latin-1"))


def _is_own(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"{parts.scheme}://{host}")
        default = _DEFAULT_PORTS.get(parts.scheme)
        return bool(parts.hostname) and (
            (parts.hostname, parts.port or default) == (own.hostname, own.port or default)
        )
    except ValueError:
        return False

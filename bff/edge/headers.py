"""Header fields that many responses have."""

from typing import Final

Headers = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")
NO_STORE: Final = (b"cache-control", b"private, no-store")
VARY: Final = (b"vary", b"Origin")
SECURITY: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
HSTS: Final = (b"strict-transport-security", b"max-age=63072000")


def lines(headers: Headers) -> bytes:
    """Return ``headers`` as they are written in a message."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])

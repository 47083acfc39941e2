"""Conditional and cache-directed requests (RFC 9110, 13; RFC 9111, 5.2.1)."""

from collections.abc import Mapping


def wants_anew(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether the caller will not have a kept answer."""
    directives = headers.get(b"cache-control")
    if directives is None:
        return False
    return any(each.strip().lower() == b"no-cache" for each in directives.split(b","))


def matches(headers: Mapping[bytes, bytes], etag: bytes) -> bool:
    """Return whether ``If-None-Match`` names ``etag``, by weak comparison."""
    given = headers.get(b"if-none-match")
    if given is None:
        return False
    return any(each.strip().removeprefix(b"W/") in (etag, b"*") for each in given.split(b","))

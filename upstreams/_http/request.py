"""A request: where it goes, and its bytes on the wire."""

from typing import Final, NamedTuple

import httpx

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Whom a connection is to. Those checked to be at a public address are never shared with others."""

    scheme: str
    host: str
    port: int
    public_only: bool


def origin_of(request: httpx.Request) -> Origin:
    """Return the origin ``request`` is for. Raises httpx.UnsupportedProtocol unless it is http(s) with a host."""
    url = request.url
    scheme = url.scheme
    host = url.raw_host.decode("ascii")
    if scheme not in _DEFAULT_PORTS or not host:
        raise httpx.UnsupportedProtocol("only http:// and https:// URLs with a host can be asked")
    port = url.port or _DEFAULT_PORTS[scheme]
    return Origin(scheme, host, port, request.extensions.get("public_only") is True)


def encode(request: httpx.Request) -> bytes:
    """Return the bytes of ``request``.

    Raises TypeError when its body is not in memory, httpx.LocalProtocolError when a part of it would break
    out of its place in the message.
    """
    try:
        content = request.content
    except httpx.RequestNotRead:
        raise TypeError("a request body must be bytes in memory, not a stream") from None
    return _head(request.method.encode("ascii"), request.url.raw_path, request.headers.raw) + content


def _head(method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b %b HTTP/1.1\r\n" % (method, target)]
    lines += [b"%b: %b\r\n" % header for header in headers]
    lines.append(b"\r\n")
    head = b"".join(lines)
    # Counting what ends a line finds every injected one without looking at each value.
    endings = len(lines)
    if (
        not head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == endings
        or b"\0" in head
        or b" " in target
    ):
        raise httpx.LocalProtocolError("a CR, LF, NUL or misplaced space in the request's head")
    return head

"""The credentials a request carries, in the documented order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

MAX_COOKIE_BYTES: Final = 32 * 1024
_MAX_TOKEN_CHARS: Final = 16 * 1024
_MAX_CHUNKS: Final = 16
_BEARER: Final = "bearer "


class Kind(Enum):
    OPAQUE = "opaque"
    NEXTAUTH = "nextauth"


@dataclass(frozen=True, slots=True)
class Credential:
    kind: Kind
    token: str = field(repr=False)


class CredentialReader:
    """Finds session credentials: the opaque cookies, the bearer token, the NextAuth cookies, in this order."""

    def __init__(self, session_cookies: Sequence[str], nextauth_cookies: Sequence[str]) -> None:
        self._session_cookies = tuple(session_cookies)
        self._nextauth_cookies = tuple(nextauth_cookies)

    def read(self, headers: Mapping[bytes, bytes]) -> list[Credential]:
        cookies = parse_cookies(headers.get(b"cookie", b""))
        found = [(Kind.OPAQUE, cookies.get(name)) for name in self._session_cookies]
        found.append((Kind.OPAQUE, bearer(headers)))
        found += [(Kind.NEXTAUTH, _joined(cookies, name)) for name in self._nextauth_cookies]
        return [Credential(kind, token) for kind, token in found if token and _is_sane(token)]

    def has_cookie(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a browser may have sent a session along on its own."""
        cookies = parse_cookies(headers.get(b"cookie", b""))
        names = self._session_cookies + self._nextauth_cookies
        return any(name in cookies or f"{name}.0" in cookies for name in names)


def bearer(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the token of ``Authorization: Bearer`` (RFC 6750, 2.1), None without one."""
    value = headers.get(b"authorization", b"").decode("latin-1")
    return value[len(_BEARER) :].strip() if value[: len(_BEARER)].lower() == _BEARER else None


def parse_cookies(header: bytes) -> dict[str, str]:
    """Return the cookies of a ``Cookie`` header; of equal names the first, which is the most specific one."""
    cookies: dict[str, str] = {}
    for pair in header.decode("latin-1").split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            cookies.setdefault(name.strip(), value.strip())
    return cookies


def _joined(cookies: Mapping[str, str], name: str) -> str | None:
    """Return a cookie that may have been split into ``.0``, ``.1``, … because it was large."""
    if name in cookies:
        return cookies[name]
    chunks: list[str] = []
    while (chunk := cookies.get(f"{name}.{len(chunks)}")) is not None and len(chunks) < _MAX_CHUNKS:
        chunks.append(chunk)
    return "".join(chunks) or None


def _is_sane(token: str) -> bool:
    return len(token) <= _MAX_TOKEN_CHARS and token.isascii() and token.isprintable()

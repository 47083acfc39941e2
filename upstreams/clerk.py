"""Clerk: the keys of its session tokens, and who belongs to an organization (upstreams.md, "clerk")."""

import asyncio
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from joserfc.jwk import RSAKey

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, enabled


class Jwk(msgspec.Struct, frozen=True):
    """A public RSA key for signatures (RFC 7517, RFC 7518 6.3.1)."""

    kty: Literal["RSA"]
    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    n: Annotated[str, msgspec.Meta(max_length=1366)]  # 8192 bits
    e: Annotated[str, msgspec.Meta(max_length=6)]
    use: Literal["sig"] = "sig"
    alg: Literal["RS256"] = "RS256"


class JwkSet(msgspec.Struct, frozen=True):
    keys: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=100)]


_JWK = msgspec.json.Decoder(Jwk)
_JWK_SET = msgspec.json.Decoder(JwkSet)
_MAX_JWKS_BYTES: Final = 256 * 1024
_MIN_KEY_BITS: Final = 2048

_REFRESH_SECONDS: Final = 60.0  # contract.md, "Clerk tokens"
_FIRST_REFRESH_SECONDS: Final = 1.0
_OLD_SECONDS: Final = 3600.0


class ClerkKeys:
    """The instance's public keys, kept through any outage of where they come from.

    An unknown id has them asked for again, at most once a minute; known ones are, behind whoever asks, once an
    hour, so that a key that was withdrawn stops counting.
    """

    def __init__(self, pipe: Pipe, jwks_url: Address | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipe = pipe
        self._jwks_url = jwks_url
        self._clock = clock
        self._keys: dict[str, RSAKey] = {}
        self._asked_at = float("-inf")
        self._failure: UpstreamFailure | None = None
        self._flight: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> RSAKey | None:
        """Return the key of that id, None when there is none. Raises UpstreamFailure when nobody can tell."""
        known = self._keys.get(kid)
        if self._flight is None and self._clock() - self._asked_at >= self._pause(known):
            self._asked_at = self._clock()
            self._flight = asyncio.create_task(self._refresh())
        if known is not None:
            return known
        if self._flight is not None:
            await asyncio.shield(self._flight)
        if kid not in self._keys and self._failure is not None:
            raise self._failure.with_traceback(None)
        return self._keys.get(kid)

    def _pause(self, known: RSAKey | None) -> float:
        if known is not None:
            return _OLD_SECONDS
        return _REFRESH_SECONDS if self._keys else _FIRST_REFRESH_SECONDS

    async def _refresh(self) -> None:
        try:
            self._keys = await self._ask()
            self._failure = None
        except UpstreamFailure as failure:
            self._failure = failure.with_traceback(None)
        finally:
            self._flight = None

    async def _ask(self) -> dict[str, RSAKey]:
        at = enabled(self._jwks_url, self._pipe.upstream)
        answer = await self._pipe.get(at, "", into=_JWK_SET, max_bytes=_MAX_JWKS_BYTES)
        keys = _usable(answer.keys)
        if not keys:
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED)
        return keys


def _usable(told: Iterable[msgspec.Raw]) -> dict[str, RSAKey]:
    """Return the RSA keys for signatures by their ids; others are nothing to us (RFC 7517, 5)."""
    keys: dict[str, RSAKey] = {}
    for each in told:
        try:
            jwk = _JWK.decode(each)
            numbers = RSAPublicNumbers(_number(jwk.e), _number(jwk.n))
            if numbers.n.bit_length() >= _MIN_KEY_BITS:
                keys[jwk.kid] = RSAKey.import_key(numbers.public_key())
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
    return keys


def _number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


class Member(NamedTuple):
    """A member of an organization; ``role`` like ``org:admin``, the metadata that of the membership."""

    user_id: str
    role: str
    public_metadata: dict[str, Any]


class PublicUserData(msgspec.Struct, frozen=True):
    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Membership(msgspec.Struct, frozen=True):
    """A membership; of a user who was deleted only that there is one."""

    role: Annotated[str, msgspec.Meta(max_length=255)]
    public_metadata: dict[str, Any] | None = None
    public_user_data: PublicUserData | None = None


_PAGE: Final = 500


class MembershipPage(msgspec.Struct, frozen=True):
    data: Annotated[tuple[Membership, ...], msgspec.Meta(max_length=_PAGE)]
    total_count: Annotated[int, msgspec.Meta(ge=0)]


_MEMBERSHIPS = msgspec.json.Decoder(MembershipPage)
_MAX_MEMBERS: Final = 100_000
_PAGES_AT_ONCE: Final = 8
_MAX_ID_CHARS: Final = 255


class ClerkApi:
    """Clerk's Backend API."""

    def __init__(self, pipe: Pipe, address: Address | None, secret_key: str | None) -> None:
        self._pipe = pipe
        self._address = address
        self._secret_key = secret_key

    async def memberships(self, org_id: str) -> tuple[Member, ...]:
        """Return the organization's members, each once. Raises UpstreamFailure.

        ``too_large`` for more than 100,000 members; ``malformed`` when the pages do not hold as many as they say.
        """
        first = await self._page(org_id, 0)
        if first.total_count > _MAX_MEMBERS:
            raise UpstreamFailure(self._pipe.upstream, Reason.TOO_LARGE)
        pages = [first, *await self._pages(org_id, range(_PAGE, first.total_count, _PAGE))]
        memberships = [membership for page in pages for membership in page.data]
        members = _members(memberships)
        nobodys = sum(membership.public_user_data is None for membership in memberships)
        if len(members) + nobodys < min(page.total_count for page in pages):
            raise UpstreamFailure(self._pipe.upstream, Reason.MALFORMED)
        return members

    async def _pages(self, org_id: str, offsets: Iterable[int]) -> list[MembershipPage]:
        places = asyncio.Semaphore(_PAGES_AT_ONCE)

        async def page(offset: int) -> MembershipPage:
            async with places:
                return await self._page(org_id, offset)

        tasks = [asyncio.create_task(page(offset)) for offset in offsets]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _page(self, org_id: str, offset: int) -> MembershipPage:
        return await self._pipe.get(
            enabled(self._address, self._pipe.upstream),
            f"/v1/organizations/{self._segment(org_id)}/memberships",
            params={"limit": _PAGE, "offset": offset},
            bearer=self._secret_key,
            into=_MEMBERSHIPS,
        )

    def _segment(self, text: str) -> str:
        if text in {"", ".", ".."} or len(text) > _MAX_ID_CHARS or not text.isprintable():
            raise UpstreamFailure(self._pipe.upstream, Reason.DISABLED)
        return quote(text, safe="")


def _members(memberships: Iterable[Membership]) -> tuple[Member, ...]:
    members: dict[str, Member] = {}
    for each in memberships:
        if each.public_user_data is not None:
            user_id = each.public_user_data.user_id
            members.setdefault(user_id, Member(user_id, each.role, each.public_metadata or {}))
    return tuple(members.values())

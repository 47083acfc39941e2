"""The monitored services: anything with a health URL (contract.md, "health")."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import httpx
import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import UNDECODABLE, Address, Pipe, Reply

_MAX_DETAIL_CHARS = 100
_MAX_BYTES = 64 * 1024
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Service:
    """``url`` is asked as it is; ``address`` is the server it is at."""

    name: str
    url: httpx.URL
    address: Address

    @classmethod
    def parse(cls, name: str, url: str) -> Self:
        """Return the service at ``url``. Raises ValueError when it is not a plain http(s) URL."""
        parsed = httpx.URL(url)
        return cls(name, parsed, Address.parse(str(parsed.copy_with(query=None, fragment=None))))


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """``ok`` for any 2xx, ``degraded`` for another status, ``down`` without an answer."""

    name: str
    status: Literal["ok", "degraded", "down"]
    detail: str


class Said(msgspec.Struct, frozen=True):
    status: str


_SAID = msgspec.json.Decoder(Said)


class Services:
    def __init__(self, pipe: Pipe, services: Sequence[Service]) -> None:
        self._pipe = pipe
        self._services = tuple(services)

    async def probe_all(self) -> tuple[ServiceStatus, ...]:
        """Return every service's status in the configured order. Never raises: a dead one is an answer."""
        return tuple(await asyncio.gather(*map(self._probe, self._services)))

    async def _probe(self, service: Service) -> ServiceStatus:
        try:
            reply = await self._pipe.probe(service.address, service.url, max_bytes=_MAX_BYTES)
        except UpstreamFailure as failure:
            if failure.reason is Reason.TOO_LARGE and failure.status in _SUCCESS:
                return ServiceStatus(service.name, "ok", "ok")
            if failure.reason is Reason.RATE_LIMITED:  # it answers, and asked to be left alone
                return ServiceStatus(service.name, "degraded", f"HTTP {failure.status}")
            return ServiceStatus(service.name, "down", failure.reason)
        if reply.status in _SUCCESS:
            return ServiceStatus(service.name, "ok", _said(reply))
        return ServiceStatus(service.name, "degraded", f"HTTP {reply.status}")


def _said(reply: Reply) -> str:
    """Return the body's own word for its status if it has a short one, else ``ok``."""
    try:
        word = _SAID.decode(reply.body).status
    except UNDECODABLE:
        return "ok"
    return word if word.isprintable() and 0 < len(word) <= _MAX_DETAIL_CHARS else "ok"

"""The monitored services: anything with a health URL (contract.md, "health")."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from upstreams.failure import UpstreamFailure
from upstreams.pipe import Address, Pipe, Reply

_MAX_DETAIL_CHARS = 100


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    address: Address


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
            reply = await self._pipe.probe(service.address)
        except UpstreamFailure as failure:
            return ServiceStatus(service.name, "down", failure.reason)
        if reply.is_success:
            return ServiceStatus(service.name, "ok", _said(reply))
        return ServiceStatus(service.name, "degraded", f"HTTP {reply.status}")


def _said(reply: Reply) -> str:
    """Return the body's own word for its status if it has a short one, else ``ok``."""
    try:
        word = _SAID.decode(reply.body).status
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "ok"
    return word if word.isprintable() and 0 < len(word) <= _MAX_DETAIL_CHARS else "ok"

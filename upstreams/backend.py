"""The agent management service (upstreams.md, "backend")."""

import msgspec

from upstreams.pipe import Address, Pipe, enabled


class BackendHealth(msgspec.Struct, frozen=True):
    """``GET /health``."""

    status: str


_MAX_BYTES = 64 * 1024
_HEALTH = msgspec.json.Decoder(BackendHealth)


class Backend:
    def __init__(self, pipe: Pipe, address: Address | None) -> None:
        self._pipe = pipe
        self._address = address

    async def health(self) -> BackendHealth:
        """Return what the service says of itself. Raises UpstreamFailure."""
        return await self._pipe.get(
            enabled(self._address, self._pipe.upstream), "/health", into=_HEALTH, max_bytes=_MAX_BYTES
        )

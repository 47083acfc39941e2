"""An organization's members, asked for once a minute however many need them (contract.md, "Shared sources")."""

import asyncio
from typing import Final

from cachetools import TTLCache

from bff.cache.single_flight import SingleFlight
from bff.clock import monotonic
from bff.figures.members import matching
from upstreams.clerk import ClerkApi, Member

_FRESH_SECONDS: Final = 60.0
_MAX_MEMBERS_KEPT: Final = 500_000


class Memberships:
    def __init__(self, api: ClerkApi) -> None:
        self._api = api
        self._kept: TTLCache[str, tuple[Member, ...]] = TTLCache(
            _MAX_MEMBERS_KEPT, _FRESH_SECONDS, timer=monotonic, getsizeof=lambda members: len(members) + 1
        )
        self._flights: SingleFlight[tuple[Member, ...]] = SingleFlight()

    async def of(self, organization: str) -> tuple[Member, ...]:
        """Return the organization's members. Raises UpstreamFailure."""
        members = self._kept.get(organization)
        if members is None:
            flight, _ = self._flights.join(organization, lambda: self._ask(organization))
            members = await asyncio.shield(flight)
        return members

    async def matching(self, organization: str, key: str | None, value: str | None) -> set[str]:
        """Return the ids of the members whose metadata the filter means. Raises UpstreamFailure."""
        members = await self.of(organization)
        # Beside the event loop: of a large organization it takes longer than others should wait.
        return set(await asyncio.to_thread(matching, members, key, value))

    async def _ask(self, organization: str) -> tuple[Member, ...]:
        members = await self._api.memberships(organization)
        self._kept[organization] = members
        return members

    async def close(self) -> None:
        await self._flights.close()

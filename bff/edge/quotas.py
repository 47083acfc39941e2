"""How often a user or an address may ask for an operation (contract.md, "Agentbot agents")."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Scope

from bff.edge.headers import Headers
from bff.limits import Limit, RateLimits, address_key
from bff.plans.action import Quota
from bff.plans.operation import Caller, Refused
from bff.settings import Limits

_MINUTE: Final = 60
_SOON: Final = 1  # seconds


class Quotas:
    """Requests a minute are counted by ``limits``, those at once in this process."""

    def __init__(self, settings: Limits, limits: RateLimits | None = None) -> None:
        self._per_minute = settings.model_dump()
        self._limits = limits or RateLimits()
        self._under_way: Counter[tuple[Quota, str]] = Counter()

    @contextmanager
    def place(self, quota: Quota | None, caller: Caller) -> Iterator[None]:
        """Hold one of the places that the caller has at once. Raises Refused (429) when all are taken."""
        if quota is None or quota.at_once is None:
            yield
            return
        name = (quota, caller.user_id)
        if self._under_way[name] >= quota.at_once:
            raise Refused(429, "Too many requests at once", retry_after=_SOON)
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]

    async def take(self, quota: Quota | None, caller: Caller, scope: Scope) -> Headers:
        """Count one request; return the headers that tell what is left. Raises Refused (429) when nothing is."""
        if quota is None:
            return []
        limit = Limit(quota.setting.removesuffix("_per_minute"), self._per_minute[quota.setting], _MINUTE)
        verdict = await self._limits.take(limit, caller.user_id if quota.by == "user" else _address(scope))
        headers = verdict.headers()
        if not verdict.allowed:
            raise Refused(429, "Too many requests", retry_after=verdict.retry_after, headers=tuple(headers))
        return headers


def _address(scope: Scope) -> str:
    # Behind trusted proxies the server has put the address here that they vouch for.
    client = scope.get("client")
    return address_key(client[0] if client else "")

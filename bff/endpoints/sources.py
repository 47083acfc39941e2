"""The sources that several plans have in common."""

from collections.abc import Sequence
from typing import Any

from bff.clients import Clients
from bff.figures.conversations import visible
from bff.plans import Ask, Shared, optional
from upstreams.services import ServiceStatus
from upstreams.sessions import Session


async def own_sessions(up: Clients, ask: Ask[Any]) -> list[Session]:
    """Return the conversations that the caller may see, newest first. Raises UpstreamFailure."""
    account = ask.caller.account
    listed = await up.sessions.list(account)
    return visible(account.user_id, listed, private=up.sessions.is_private(account))


_NOTHING: Sequence[ServiceStatus] = ()

# contract.md, "Shared sources": one gateway's health serves all its users for 5 s, the services everyone for 15 s.
GATEWAY = optional(
    "gateway",
    lambda up, ask: up.gateway.health(ask.caller.account),
    otherwise=False,
    stands_in="gateway down",
    shared=Shared(5, by=lambda up, ask: up.gateway.address(ask.caller.account).base),
)
SERVICES = optional(
    "services",
    lambda up, _: up.services.probe_all(),
    otherwise=_NOTHING,
    stands_in="no services",
    shared=Shared(15, by=lambda _up, _ask: ""),
)

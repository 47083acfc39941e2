"""The sources that several plans have in common."""

from collections.abc import Sequence

from bff.plans import Shared, optional
from upstreams.services import ServiceStatus

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

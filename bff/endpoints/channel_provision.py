"""Provisioning with channel tokens (document 004, "Provision with channel tokens"); the backend does it."""

from typing import Final

from bff.clients import Clients
from bff.endpoints.agent_provision import CHANGES
from bff.endpoints.owned import actor
from bff.plans import Access, Action, NoQuery, Order, Quota
from contracts.provisioning import ChannelProvisioned, ChannelsBody

_FAILED: Final = (502, "Provisioning service unavailable")


async def provision_channels(up: Clients, order: Order[NoQuery, ChannelsBody]) -> ChannelProvisioned:
    by = actor(order)
    given: dict[str, str] = order.body.model_dump(by_alias=True, exclude_none=True)
    made = await up.backend.provision(by, given | ({"email": by.email} if by.email else {}))
    return ChannelProvisioned(
        user_id=made.user_id,
        subdomain=made.subdomain,
        url=made.url,
        stream_key=made.stream_key,
        live_stream_id=made.live_stream_id,
    )


PROVISION_CHANNELS = Action(
    "provision",
    method="POST",
    path="/api/provision",
    document="004",
    query=NoQuery,
    body=ChannelsBody,
    answer=ChannelProvisioned,
    access=Access.SESSION,
    asks=("backend",),
    perform=provision_channels,
    changes=CHANGES,
    failed="Internal server error",
    failed_by={"backend": _FAILED},
    quota=Quota("provision_per_minute", by="address"),
)

"""The conversations an OpenClaw gateway holds, listed by its session tools."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """One conversation. Each gateway version sends only some of these fields; ``updated_at`` is epoch ms."""

    key: str
    channel: str | None = None
    last_channel: str | None = None
    updated_at: float | None = None
    last_activity: datetime | None = None
    message_count: Count | None = None
    turns: Count | None = None
    messages: tuple[Any, ...] = ()

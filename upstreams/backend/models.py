"""What is sent to the agent management service and what it answers, with just the fields that are used."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from upstreams.backend.objects import PublicObject, without_secrets

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Word = Annotated[str, msgspec.Meta(max_length=500)]
Text = Annotated[str, msgspec.Meta(max_length=100_000)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]

# A time that cannot be read becomes None, so that a detail does not cost the whole answer.
if TYPE_CHECKING:
    Moment = datetime | None
else:
    Moment = Any

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # Docker's time of what never happened is in the year 1
_LAST_YEAR = 9998  # a time zone may lead out of the year 9999, which is the last one there is


class BackendHealth(msgspec.Struct, frozen=True):
    """``GET /health``."""

    status: str


class BackendAgent(msgspec.Struct, frozen=True, rename="camel"):
    """An agent as the service runs it; ``status`` in its own words (``active``, ``stopped``, ...)."""

    id: Word
    status: Word
    started_at: Moment = None
    plan: Word | None = None
    subdomain: Word | None = None
    url: Word | None = None
    openclaw_version: Word | None = None
    verified: bool = False
    verification_type: Word | None = None
    attestation_uid: Word | None = None
    verified_at: Moment = None

    def __post_init__(self) -> None:
        _read_moments(self, "started_at", "verified_at")


class LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One line of an agent's log."""

    id: Word
    level: Word
    message: Text
    timestamp: Moment = None
    source: Word | None = None
    agent_id: Word | None = None

    def __post_init__(self) -> None:
        _read_moments(self, "timestamp")


class LogPage(msgspec.Struct, frozen=True):
    """Lines of an agent's log in the service's order; ``total`` counts also those that were not asked for."""

    logs: Annotated[tuple[LogEntry, ...], msgspec.Meta(max_length=1000)]
    total: Count


class Verification(msgspec.Struct, frozen=True, rename="camel"):
    """What is known of an agent's verification."""

    verified: bool
    verification_type: Word | None = None
    attestation_uid: Word | None = None
    verifier_address: Word | None = None
    verified_at: Moment = None
    metadata: PublicObject | None = None

    def __post_init__(self) -> None:
        _read_moments(self, "verified_at")


class VerifyRequest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What an agent is to be verified with; what is None is not sent."""

    verification_type: str
    attestation_uid: str | None = None
    signature: str | None = None
    wallet_address: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What an order came to. ``success`` false never leaves the client: it is a failure."""

    success: bool


class Verified(Result, frozen=True, rename="camel"):
    """An agent's verification as it has just been set."""

    verified: bool
    verification_type: Word | None = None
    attestation_uid: Word | None = None
    verified_at: Moment = None

    def __post_init__(self) -> None:
        _read_moments(self, "verified_at")


class LifecycleResult(Result, frozen=True):
    """The agent's status after an order, in the service's words; some orders are answered with a message alone."""

    status: Word | None = None
    message: Word | None = None


class Token(msgspec.Struct, frozen=True):
    """``GET /api/agents/{id}/token``."""

    token: Secret


class InstanceStats(msgspec.Struct, frozen=True, rename="camel"):
    """What an agent's container uses, as the container engine words it; ``uptime`` in milliseconds."""

    agent_id: Word
    cpu: Word
    memory: Word
    memory_percent: Word
    network: Word
    pids: Word
    status: Word
    uptime: Count
    uptime_formatted: Word
    block_io: Word | None = msgspec.field(name="blockIO", default=None)
    timestamp: Moment = None

    def __post_init__(self) -> None:
        _read_moments(self, "timestamp")


class Provisioned(Result, frozen=True, rename="camel"):
    """The new agent's address, and the live stream made for it."""

    user_id: Word
    subdomain: Word
    url: Word
    stream_key: Secret
    live_stream_id: Word


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return a decoder of ``kind``, which may be or hold a ``PublicObject``."""
    return msgspec.json.Decoder(kind, dec_hook=_public_object)


def _public_object(_kind: type, value: object) -> PublicObject:
    return PublicObject(without_secrets(msgspec.convert(value, dict[str, Any])))


def _read_moments(answer: msgspec.Struct, *names: str) -> None:
    for name in names:
        msgspec.structs.force_setattr(answer, name, _moment(getattr(answer, name)))


def _moment(value: object) -> datetime | None:
    try:
        read = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return None
    if read.tzinfo is None:
        read = read.replace(tzinfo=UTC)
    return read.astimezone(UTC) if read >= _EARLIEST and read.year <= _LAST_YEAR else None

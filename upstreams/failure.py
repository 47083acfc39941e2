"""How an upstream can fail: one exception, with a reason from a closed list.

No caller of this package ever sees an exception of the HTTP or database library.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why an upstream gave no usable answer."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    RESET = "reset"
    DNS = "dns"
    TLS = "tls"
    STATUS = "status"
    RATE_LIMITED = "rate_limited"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    BREAKER_OPEN = "breaker_open"
    SATURATED = "saturated"
    DISABLED = "disabled"


class UpstreamFailure(Exception):
    """An upstream gave no usable answer.

    ``status`` is the HTTP status it answered with, if it answered at all; ``retry_after`` the seconds it
    asked to be left alone. Nothing else of what it said is kept: it is untrusted and never passed on.
    """

    def __init__(
        self,
        upstream: str,
        reason: Reason,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{upstream}: {reason}" if status is None else f"{upstream}: {reason} {status}")
        self.upstream = upstream
        self.reason = reason
        self.status = status
        self.retry_after = retry_after

"""How an upstream can fail: one exception, with a reason from a closed list.

No caller of this package ever sees an exception of the HTTP or database library.
"""

from enum import StrEnum
from typing import Final


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


# Saturated before it was sent, a call is not ``unsafe``; after that, nobody took the answer.
_NO_WORD_ON_IT: Final = frozenset(
    {Reason.TIMEOUT, Reason.RESET, Reason.MALFORMED, Reason.TOO_LARGE, Reason.SATURATED}
)
_PROXY_LOST_IT: Final = frozenset({502, 504})


class UpstreamFailure(Exception):
    """An upstream gave no usable answer.

    ``status`` is the HTTP status it answered with, if it answered at all; ``retry_after`` the seconds it
    asked to be left alone; ``in_json`` whether the answer was declared JSON, so an API's own word and not a
    proxy's page; ``unsafe`` whether what failed changes something and may have reached the upstream.
    Nothing else of what it said is kept: it is untrusted and never passed on.
    """

    def __init__(
        self,
        upstream: str,
        reason: Reason,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        in_json: bool = False,
        unsafe: bool = False,
    ) -> None:
        super().__init__(f"{upstream}: {reason}" if status is None else f"{upstream}: {reason} {status}")
        self.upstream = upstream
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.in_json = in_json
        self.unsafe = unsafe

    @property
    def outcome_unknown(self) -> bool:
        """Whether the unsafe call may have been carried out all the same: nobody who would know said no."""
        if self.reason is Reason.STATUS:
            return self.unsafe and self.status in _PROXY_LOST_IT and not self.in_json
        return self.unsafe and self.reason in _NO_WORD_ON_IT

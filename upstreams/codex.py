"""codex-lb, asked with the caller's own session (upstreams.md, "codex")."""

import re
from datetime import date
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from upstreams.failure import UpstreamFailure
from upstreams.pipe import Address, Pipe, enabled

T = TypeVar("T")

RefusalCode = Literal["authentication_required", "totp_required", "bootstrap_required"]
_LOGGED_OUT: Final = "authentication_required"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Dollars = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(max_length=500)]


class CodexRefusal(Exception):
    """codex-lb does not take the caller's session; ``code`` is its own word for why."""

    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code)
        self.code = code


class CodexAccount(msgspec.Struct, frozen=True):
    """An account; ``status`` in codex-lb's own words."""

    status: Name


class RequestMetrics(msgspec.Struct, frozen=True):
    """Requests of the timeframe."""

    requests: Count
    told_error_rate: Fraction | None = msgspec.field(name="errorRate", default=None)

    @property
    def error_rate(self) -> float:
        """The fraction of the requests that failed, 0.0 without requests."""
        return self.told_error_rate or 0.0


class OverviewSummary(msgspec.Struct, frozen=True):
    metrics: RequestMetrics


class CodexOverview(msgspec.Struct, frozen=True):
    """The accounts, and the requests of the last 24 hours."""

    accounts: Annotated[tuple[CodexAccount, ...], msgspec.Meta(max_length=20_000)]
    summary: OverviewSummary


class CodexUsage(msgspec.Struct, frozen=True, rename="camel"):
    """What was used in a period; the cost in USD."""

    total_input_tokens: Count
    total_output_tokens: Count
    total_cost_usd: Dollars


class CodexModel(msgspec.Struct, frozen=True):
    id: Name
    name: Name


class Reports(msgspec.Struct, frozen=True):
    summary: CodexUsage


class ModelList(msgspec.Struct, frozen=True):
    models: Annotated[tuple[CodexModel, ...], msgspec.Meta(max_length=10_000)]


class RefusalDetail(msgspec.Struct, frozen=True):
    code: RefusalCode


class Refusal(msgspec.Struct, frozen=True):
    error: RefusalDetail


# RFC 6265, 4.1.1: cookie-octets, as they are or in double quotes.
_VALUE: Final = re.compile(r'[!#-+\--:<-\[\]-~]+|"[!#-+\--:<-\[\]-~]+"')
_MAX_VALUE_CHARS: Final = 4096
_UNAUTHORIZED: Final = 401

_OVERVIEW = msgspec.json.Decoder(CodexOverview)
_REPORTS = msgspec.json.Decoder(Reports)
_MODELS = msgspec.json.Decoder(ModelList)
_REFUSAL = msgspec.json.Decoder(Refusal)


class Codex:
    """codex-lb. Every call takes the value of the caller's session cookie, quoted or not.

    Raises CodexRefusal when that is no good session, and UpstreamFailure.
    """

    def __init__(self, pipe: Pipe, address: Address | None) -> None:
        self._pipe = pipe
        self._address = address

    async def overview(self, cookie: str) -> CodexOverview:
        """Return the accounts, and the requests of the last 24 hours."""
        return await self._get("/api/dashboard/overview?timeframe=1d", cookie, _OVERVIEW)

    async def usage(self, cookie: str, first: date, last: date) -> CodexUsage:
        """Return what was used from the day ``first`` to the day ``last``, both included."""
        path = f"/api/reports?start_date={first:%Y-%m-%d}&end_date={last:%Y-%m-%d}"
        return (await self._get(path, cookie, _REPORTS)).summary

    async def models(self, cookie: str) -> tuple[CodexModel, ...]:
        """Return the models in codex-lb's order."""
        return (await self._get("/api/models", cookie, _MODELS)).models

    async def _get(self, path: str, cookie: str, into: msgspec.json.Decoder[T]) -> T:
        at = enabled(self._address, self._pipe.upstream)
        if len(cookie) > _MAX_VALUE_CHARS or not _VALUE.fullmatch(cookie):
            raise CodexRefusal(_LOGGED_OUT)
        headers = {"cookie": f"codex_lb_dashboard_session={cookie}"}
        try:
            said = await self._pipe.get_or_refusal(at, path, into=into, refusal=_REFUSAL, headers=headers)
        except UpstreamFailure as failure:
            if failure.status == _UNAUTHORIZED and failure.in_json:  # for a reason that is not known
                raise CodexRefusal(_LOGGED_OUT) from None
            raise
        if isinstance(said, Refusal):
            raise CodexRefusal(said.error.code)
        return said

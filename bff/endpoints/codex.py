"""The Codex-LB dashboard (document 003): an overview of the accounts, and the models."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from bff.clients import Clients
from bff.figures.money import exact, half_up
from bff.plans import Access, Ask, CookieHolder, Got, Keep, NoQuery, Plan, Refused, required
from contracts import codex
from upstreams.codex import CodexRefusal

T = TypeVar("T")

_NAMES: Final = ("codex.overview", "codex.models")
_DOWN: Final = (502, "codex-lb is unavailable")
_CODES: Final = {401: "authentication_required", 502: "upstream_error", 503: "unavailable"}
_MESSAGES: Final = {
    "authentication_required": "Authentication is required",
    "totp_required": "TOTP verification is required for dashboard access",
}


def error(status: int, message: str, fields: Mapping[str, object]) -> Mapping[str, object]:
    """Return an error as document 003 writes it."""
    return {"error": {"code": fields.get("code") or _CODES.get(status, "internal_error"), "message": message}}


def _asked(
    ask_codex: Callable[[Clients, str, Ask[NoQuery]], Awaitable[T]],
) -> Callable[[Clients, Ask[Any]], Awaitable[T]]:
    """Return what asks codex-lb with the caller's cookie; its refusal ends what is kept for that cookie."""

    async def fetch(up: Clients, ask: Ask[Any]) -> T:
        assert isinstance(ask.caller, CookieHolder)
        try:
            return await ask_codex(up, ask.caller.cookie, ask)
        except CodexRefusal as refusal:
            # Nobody has set a password yet: to a dashboard that is one more way of not being logged in.
            code = refusal.code if refusal.code in _MESSAGES else "authentication_required"
            raise Refused(401, _MESSAGES[code], fields={"code": code}, revokes=_NAMES) from refusal

    return fetch


ACCOUNTS = required("codex", _asked(lambda up, cookie, _: up.codex.overview(cookie)))
# codex-lb has no billing period of its own: the calendar month stands for it (upstreams.md).
USAGE = required(
    "codex",
    _asked(lambda up, cookie, ask: up.codex.usage(cookie, ask.now.date().replace(day=1), ask.now.date())),
)
MODEL_LIST = required("codex", _asked(lambda up, cookie, _: up.codex.models(cookie)))


def overview(_ask: Ask[NoQuery], got: Got) -> codex.Overview:
    accounts, usage = got[ACCOUNTS], got[USAGE]
    statuses = Counter(account.status for account in accounts.accounts)
    requests = accounts.summary.metrics
    return codex.Overview(
        account_counts=codex.AccountCounts(
            total=statuses.total(),
            active=statuses["active"],
            paused=statuses["paused"],
            rate_limited=statuses["rate_limited"],
            quota_exceeded=statuses["quota_exceeded"],
            deactivated=statuses["deactivated"],
        ),
        usage_summary=codex.UsageSummary(
            total_tokens=usage.total_input_tokens + usage.total_output_tokens,
            total_cost=float(half_up(exact(usage.total_cost_usd), 2)),
            input_tokens=usage.total_input_tokens,
            output_tokens=usage.total_output_tokens,
        ),
        request_count=requests.requests,
        error_rate=float(half_up(100 * exact(requests.error_rate), 2)),
    )


def models(_ask: Ask[NoQuery], got: Got) -> codex.Models:
    return codex.Models(models=[codex.Model(id=model.id, name=model.name) for model in got[MODEL_LIST]])


OVERVIEW = Plan(
    "codex.overview",
    path="/api/dashboard/overview",
    document="003",
    query=NoQuery,
    answer=codex.Overview,
    access=Access.CODEX,
    keep=Keep(fresh=5, stale=30, on_error=300),
    sources=(ACCOUNTS, USAGE),
    merge=overview,
    failed="Internal server error",
    failed_by={"codex": _DOWN},
    shape=error,
)

MODELS = Plan(
    "codex.models",
    path="/api/models",
    document="003",
    query=NoQuery,
    answer=codex.Models,
    access=Access.CODEX,
    keep=Keep(fresh=300, stale=3600, on_error=86400),
    sources=(MODEL_LIST,),
    merge=models,
    failed="Internal server error",
    failed_by={"codex": _DOWN},
    shape=error,
)

"""Serving a plan: who asks, the finished bytes, and what the response tells besides them."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from bff.auth.doors import Door
from bff.cache.answers import Answered, Answers, State, as_it_is
from bff.cache.entries import degradation
from bff.cache.store import Entry
from bff.clock import monotonic, utc_now
from bff.edge.conditional import matches, wants_anew
from bff.edge.errors import failed_answer, refused_answer, unavailable, unexpected
from bff.edge.exchange import SCOPE_KEY, Answer, Exchange
from bff.edge.headers import JSON, NO_STORE, Headers
from bff.plans.operation import Access, Ask, Caller, Refused
from bff.plans.plan import NOT_KEPT, Plan
from upstreams.failure import UpstreamFailure

_MAX_QUERY_BYTES = 2048


class PlanEndpoint:
    """One operation as an ASGI application. ``needs_store``: without the user store there is no answer."""

    def __init__(self, plan: Plan[Any], door: Door, answers: Answers) -> None:
        self._plan = plan
        self._door = door
        self._answers = answers
        self._permit = plan.permit or _permit_all
        self._cache_control = (b"cache-control", _cache_control(plan))
        self._fallback_body = plan.fallback.model_dump_json().encode() if plan.fallback else None
        self._query = lru_cache(maxsize=256)(self._parse)
        self.needs_store = _needs_store(plan)

    def recall(self, exchange: Exchange, query_string: bytes) -> Entry | None:
        """Return the kept answer, fresh or not, if the caller is known and there is one, else None."""
        caller = self._door.known(exchange.headers)
        if caller is None:
            return None
        query = self._query(bounded(query_string))
        if not self._permits(caller, query):
            return None
        exchange.operation = self._plan.name
        exchange.user = caller.log_id
        return self._answers.kept(self._plan, caller, query)

    def from_memory(self, exchange: Exchange, query_string: bytes) -> Answer | None:
        """Return the answer to a known caller from a copy that may be served while none can be made, else None."""
        entry = self.recall(exchange, query_string)
        answered = None if entry is None else as_it_is(entry, bypass=wants_anew(exchange.headers))
        return None if answered is None else self._success(exchange, answered, exchange.elapsed_ms())

    def _permits(self, caller: Caller, query: Any) -> bool:
        try:
            self._permit(caller, query)
        except Refused:
            return False
        return True

    def fixed_headers(self, entry: Entry, degraded: str | None) -> Headers:
        """Return the headers that depend on nothing but the copy and what it had to do without."""
        headers: Headers = [JSON, self._cache_control]
        if degraded is not None:
            headers.append((b"bff-degraded", degraded.encode()))
        if entry.etag is not None:
            headers.append((b"etag", entry.etag))
        return headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.operation = self._plan.name
        try:
            answer = await self._answer(scope, exchange)
        except Exception:  # noqa: BLE001 - whatever it is, the caller gets the documented shape
            answer = unexpected(exchange, self._plan.shape)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, exchange: Exchange) -> Answer:
        expires = asyncio.get_running_loop().time() + self._plan.deadline
        try:
            caller = await self._door.admit(exchange.headers, reads=True, expires=expires)
        except Refused as refused:
            return self._to_stranger(refused)
        except UpstreamFailure as failure:
            exchange.failure = str(failure)
            return self._fallback(exchange, failure) or unavailable(self._plan.shape)
        auth_ms = exchange.elapsed_ms()
        exchange.user = caller.log_id
        return await self._ask(scope, exchange, caller, auth_ms, expires)

    async def _ask(
        self, scope: Scope, exchange: Exchange, caller: Caller, auth_ms: float, expires: float
    ) -> Answer:
        ask = Ask(caller, self._query_of(scope), utc_now())
        anew = wants_anew(exchange.headers)
        try:
            self._permit(caller, ask.query)
            answered = await self._answers.answer(self._plan, ask, expires=expires, bypass=anew)
        except Refused as refused:
            return refused_answer(refused, self._plan.shape)
        except UpstreamFailure as failure:
            exchange.failure = str(failure)
            return self._fallback(exchange, failure) or self._failed(exchange, failure)
        return self._success(exchange, answered, auth_ms)

    def _success(self, exchange: Exchange, answered: Answered, auth_ms: float) -> Answer:
        entry = answered.entry
        exchange.cache = answered.state.value
        exchange.degraded = _degraded(answered)
        headers = [
            *self.fixed_headers(entry, exchange.degraded),
            (b"cache-status", _cache_status(self._plan, answered).encode()),
            (b"server-timing", f"auth;dur={auth_ms:.1f}, {entry.timing}".encode()),
        ]
        if entry.etag is not None and matches(exchange.headers, entry.etag):
            return Answer(304, b"", headers)
        return Answer(200, self.stamped(exchange, entry.body, cached=answered.state in _FROM_CACHE), headers)

    def stamped(self, exchange: Exchange, body: bytes, *, cached: bool) -> bytes:
        """Return the body with what describes this very response in it."""
        stamp = self._plan.stamp
        return body if stamp is None else stamp(body, round(exchange.elapsed_ms()), cached)

    def _to_stranger(self, refused: Refused) -> Answer:
        if self._plan.stranger is None:
            return refused_answer(refused, self._plan.shape)
        return Answer(200, self._plan.stranger.model_dump_json().encode(), [JSON, NO_STORE])

    def _fallback(self, exchange: Exchange, failure: UpstreamFailure) -> Answer | None:
        if self._fallback_body is None:
            return None
        exchange.degraded = degradation(failure)
        headers = [JSON, NO_STORE, (b"cache-status", b"bff; fwd=miss")]
        headers.append((b"bff-degraded", exchange.degraded.encode()))
        return Answer(200, self._fallback_body, headers)

    def _failed(self, exchange: Exchange, failure: UpstreamFailure) -> Answer:
        fields = self._plan.failed_fields
        more = fields(failure, round(exchange.elapsed_ms())) if fields else None
        return failed_answer(self._plan, failure, fields=more)

    def _query_of(self, scope: Scope) -> Any:
        query_string = bounded(scope["query_string"])
        path = scope.get("path_params")
        return self._parse(query_string, path) if path else self._query(query_string)

    def _parse(self, query_string: bytes, path: Mapping[str, str] | None = None) -> Any:
        return self._plan.query.parse({**parameters(query_string), **(path or {})})


_FROM_CACHE = frozenset({State.HIT, State.STALE, State.STALE_ON_ERROR})


_WITH_SESSION = frozenset({Access.SESSION, Access.OWNER, Access.ADMIN})


def _needs_store(plan: Plan[Any]) -> bool:
    if plan.fallback is not None:
        return False
    asked = {source.upstream for source in plan.sources if source.required}
    if plan.subject is not None:
        asked.add(plan.subject.upstream)
    return plan.access in _WITH_SESSION or "user_store" in asked


def _permit_all(_caller: Caller, _query: Any) -> None:
    """Return: most operations may be asked anything by whoever is let in."""


def bounded(query_string: bytes) -> bytes:
    """Return the query, of an oversized one nothing: the parsed ones are remembered by their text."""
    return query_string if len(query_string) <= _MAX_QUERY_BYTES else b""


def parameters(query_string: bytes) -> Mapping[str, str]:
    """Return the query's parameters, of repeated ones the first."""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    return dict(reversed(pairs))


def _cache_control(plan: Plan[Any]) -> bytes:
    if plan.cache_control is not None:
        return plan.cache_control.encode()
    return b"private, no-store" if plan.secret else b"private, no-cache"


def _cache_status(plan: Plan[Any], answered: Answered) -> str:
    """Return the value of ``Cache-Status`` (RFC 9211)."""
    stored = "" if plan.keep == NOT_KEPT else "; stored"
    match answered.state:
        case State.BYPASS:
            return "bff; fwd=bypass"
        case State.MISS:
            return f"bff; fwd=miss{stored}"
        case State.COLLAPSED:
            return f"bff; fwd=miss; collapsed{stored}"
    ttl = int(answered.entry.fresh_until - monotonic())
    return f"bff; hit; ttl={ttl}" if answered.state is State.HIT else f"bff; hit; ttl={ttl}; detail=stale"


def _degraded(answered: Answered) -> str | None:
    if answered.failure is None:
        return answered.entry.degraded
    missing = degradation(answered.failure)
    return f"{missing}, {answered.entry.degraded}" if answered.entry.degraded else missing

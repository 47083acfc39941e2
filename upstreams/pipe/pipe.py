"""The pipe of one upstream: the layers stacked, one stack for each host it has."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec
from cachetools import LRUCache

from upstreams import trace
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.address import Address
from upstreams.pipe.breaker import Breaker
from upstreams.pipe.bulkhead import Bulkhead
from upstreams.pipe.call import MAX_BODY_BYTES, Call, Reply, Send, Sink, Take
from upstreams.pipe.fetch import Fetch
from upstreams.pipe.retry import Retry, RetryBudget
from upstreams.pipe.throttle import Throttle

T = TypeVar("T")
R = TypeVar("R")

_MAX_HOSTS = 4096
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "bff"}


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the pipe is with one upstream. Times in seconds.

    ``timeout`` bounds one attempt, ``deadline`` the call with its queueing and retries. ``failures`` in a
    row open the breaker, or the share ``ratio`` of at least ``volume`` calls in ten seconds; ``open_for`` is
    the least pause before its next probe.

    ``patient``: a call may take long, or be one too many, for reasons of its user's own (a model that thinks,
    a quota). A time-out then says nothing about the host, and a ``Retry-After`` is for that one call alone.
    """

    timeout: float = 1.5
    deadline: float = 1.8
    retries: int = 1
    max_concurrency: int = 64
    max_queue: int = 256
    failures: int = 5
    ratio: float = 0.5
    volume: int = 20
    open_for: float = 1.0
    patient: bool = False


class Pipe:
    """One upstream's way out. All layers are per host: a host in trouble is trouble of its own."""

    def __init__(self, upstream: str, policy: Policy, transport: httpx.AsyncBaseTransport) -> None:
        self.upstream = upstream
        self._policy = policy
        self._transport = transport
        self._stacks: LRUCache[str, Send] = LRUCache(maxsize=_MAX_HOSTS)

    async def get(
        self,
        at: Address,
        path: str,
        *,
        into: msgspec.json.Decoder[T],
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> T:
        """Return the decoded 2xx answer of a GET. Raises UpstreamFailure."""
        url = at.url(path) if params is None else at.url(path).copy_merge_params(params)
        request = self._request(at, "GET", url, bearer=bearer, headers=headers)
        result: T = await self._call(at, request, decoder=into, max_bytes=max_bytes)
        return result

    async def get_or_refusal(
        self,
        at: Address,
        path: str,
        *,
        into: msgspec.json.Decoder[T],
        refusal: msgspec.json.Decoder[R],
        headers: Mapping[str, str],
    ) -> T | R:
        """Return the decoded 2xx answer of a GET, or what a 401 says in JSON. Raises UpstreamFailure."""
        request = self._request(at, "GET", at.url(path), headers=headers)
        result: T | R = await self._call(at, request, decoder=into, refusal=refusal, max_bytes=MAX_BODY_BYTES)
        return result

    async def query(
        self,
        at: Address,
        path: str,
        *,
        content: bytes,
        into: msgspec.json.Decoder[T],
        bearer: str | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> T:
        """Return the decoded 2xx answer of a POST that only reads, so may be repeated. Raises UpstreamFailure."""
        request = self._request(at, "POST", at.url(path), bearer=bearer, content=content)
        result: T = await self._call(at, request, decoder=into, max_bytes=max_bytes)
        return result

    async def probe(
        self, at: Address, url: httpx.URL, *, headers: Mapping[str, str] | None = None, max_bytes: int
    ) -> Reply:
        """Return whatever a GET of ``url`` (it is at ``at``) answers. Raises UpstreamFailure when nothing does."""
        reply: Reply = await self._call(at, self._request(at, "GET", url, headers=headers), max_bytes=max_bytes)
        return reply

    async def send(
        self,
        at: Address,
        method: str,
        path: str,
        *,
        into: msgspec.json.Decoder[T],
        content: bytes | None = None,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> T:
        """Return the decoded 2xx answer of a call that changes something. Raises UpstreamFailure.

        It is made at most once, on a connection of its own.
        """
        request = self._request(
            at, method, at.url(path), bearer=bearer, headers=headers, content=content, safe=False
        )
        result: T = await self._call(at, request, decoder=into, max_bytes=max_bytes, idempotent=False)
        return result

    async def stream(
        self,
        at: Address,
        path: str,
        *,
        content: bytes,
        sink: Take,
        bearer: str | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Give the 2xx answer of a POST to ``sink`` piece by piece as it comes. Raises UpstreamFailure.

        It is made at most once, on a connection of its own, which ends with it when it is cancelled. ``sink``
        returns True to end it: what is still to come is not waited for. Raises also what ``sink`` raises.
        """
        request = self._request(at, "POST", at.url(path), bearer=bearer, content=content, safe=False)
        await self._call(at, request, sink=Sink(sink), max_bytes=max_bytes, idempotent=False)

    def _request(
        self,
        at: Address,
        method: str,
        url: httpx.URL,
        *,
        bearer: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        safe: bool = True,
    ) -> httpx.Request:
        fields = _headers(bearer, has_body=content is not None)
        if headers is not None:
            if not all(map(str.isprintable, headers.values())):
                # Refused before it could look like trouble of the upstream.
                raise UpstreamFailure(self.upstream, Reason.MALFORMED)
            fields.update(headers)
        return httpx.Request(
            method,
            url,
            headers=httpx.Headers(fields, encoding="utf-8"),
            content=content,
            extensions={"public_only": at.public_only, "fresh_connection": not safe},
        )

    async def _call(
        self,
        at: Address,
        request: httpx.Request,
        *,
        max_bytes: int,
        decoder: msgspec.json.Decoder[Any] | None = None,
        sink: Sink | None = None,
        refusal: msgspec.json.Decoder[Any] | None = None,
        idempotent: bool = True,
    ) -> Any:
        expires = asyncio.get_running_loop().time() + self._policy.deadline
        try:
            return await self._stack(at.origin)(
                Call(request, expires, max_bytes, idempotent, decoder, sink, refusal)
            )
        except UpstreamFailure as failure:
            # Frames of the layers below hold what the upstream sent; a failure is kept longer than that may be.
            failure.__context__ = None
            raise failure.with_traceback(None) from None

    def _stack(self, origin: str) -> Send:
        stack = self._stacks.get(origin)
        if stack is None:
            stack = self._stacks[origin] = self._build()
        return stack

    def _build(self) -> Send:
        name, policy = self.upstream, self._policy
        fetch = Fetch(name, self._transport, attempt_timeout=policy.timeout)
        once: Send = fetch if policy.patient else Throttle(name, fetch)
        retry = Retry(once, retries=policy.retries, budget=RetryBudget())
        breaker = Breaker(
            name,
            retry,
            probe=once,
            failures=policy.failures,
            ratio=policy.ratio,
            volume=policy.volume,
            open_for=policy.open_for,
            excused={Reason.TIMEOUT} if policy.patient else (),
            probe_ends_with_caller=policy.patient,
        )
        return Bulkhead(name, breaker, places=policy.max_concurrency, queue=policy.max_queue)


def _headers(bearer: str | None, *, has_body: bool) -> dict[str, str]:
    headers = _HEADERS.copy()
    if bearer is not None:
        headers["authorization"] = f"Bearer {bearer}"
    if has_body:
        headers["content-type"] = "application/json"
    if (parent := trace.traceparent.get()) is not None:
        headers["traceparent"] = parent
    return headers

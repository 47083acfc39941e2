"""The pipe of one upstream: the layers stacked, one stack for each host it has."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec
from cachetools import LRUCache

from upstreams import trace
from upstreams.failure import UpstreamFailure
from upstreams.pipe.address import Address
from upstreams.pipe.breaker import Breaker
from upstreams.pipe.bulkhead import Bulkhead
from upstreams.pipe.call import MAX_BODY_BYTES, Call, Reply, Send
from upstreams.pipe.fetch import Fetch
from upstreams.pipe.retry import Retry, RetryBudget

T = TypeVar("T")

_MAX_HOSTS = 4096
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "bff"}


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient the pipe is with one upstream. Times in seconds.

    ``timeout`` bounds one attempt, ``deadline`` the call with its queueing and retries. ``failures`` in a
    row open the breaker, ``open_for`` is the pause before its next probe.
    """

    timeout: float = 1.5
    deadline: float = 1.8
    retries: int = 1
    max_concurrency: int = 64
    max_queue: int = 256
    failures: int = 5
    open_for: float = 1.0


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
        max_bytes: int = MAX_BODY_BYTES,
    ) -> T:
        """Return the decoded 2xx answer of a GET. Raises UpstreamFailure."""
        url = at.url(path) if params is None else at.url(path).copy_merge_params(params)
        result: T = await self._call(at, "GET", url, bearer=bearer, decoder=into, max_bytes=max_bytes)
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
        result: T = await self._call(
            at, "POST", at.url(path), bearer=bearer, decoder=into, max_bytes=max_bytes, content=content
        )
        return result

    async def probe(self, at: Address, url: httpx.URL, *, max_bytes: int) -> Reply:
        """Return whatever a GET of ``url`` (it is at ``at``) answers. Raises UpstreamFailure when nothing does."""
        reply: Reply = await self._call(at, "GET", url, bearer=None, decoder=None, max_bytes=max_bytes)
        return reply

    async def _call(
        self,
        at: Address,
        method: str,
        url: httpx.URL,
        *,
        bearer: str | None,
        decoder: msgspec.json.Decoder[Any] | None,
        max_bytes: int,
        content: bytes | None = None,
    ) -> Any:
        request = httpx.Request(
            method,
            url,
            headers=_headers(bearer, has_body=content is not None),
            content=content,
            extensions={"public_only": at.public_only},
        )
        expires = asyncio.get_running_loop().time() + self._policy.deadline
        try:
            return await self._stack(at.origin)(
                Call(request, expires, max_bytes, idempotent=True, decoder=decoder)
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
        retry = Retry(fetch, retries=policy.retries, budget=RetryBudget())
        breaker = Breaker(name, retry, failures=policy.failures, open_for=policy.open_for)
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

"""One pooled HTTP call: sent once, read up to the size cap, decoded into a model or refused."""

import asyncio
import socket
import ssl
from typing import Any, Final

import httpx
import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import UNDECODABLE, Call, Reply

_UNAUTHORIZED = 401
_TOO_MANY_REQUESTS = 429
_MAX_RETRY_AFTER_SECONDS = 3600


class Fetch:
    """The innermost layer. Every way a call can go wrong becomes an ``UpstreamFailure`` here."""

    def __init__(self, upstream: str, transport: httpx.AsyncBaseTransport, *, attempt_timeout: float) -> None:
        self._upstream = upstream
        self._transport = transport
        self._attempt_timeout = attempt_timeout

    async def __call__(self, call: Call) -> Any:
        ends = min(asyncio.get_running_loop().time() + self._attempt_timeout, call.expires)
        try:
            async with asyncio.timeout_at(ends):
                response = await self._transport.handle_async_request(call.request)
                body = await self._read(call, response)
        except TimeoutError as error:
            # Who does not take what came is late, not the upstream: that must not open its breaker.
            late = call.sink is not None and call.sink.busy
            raise self._failure(call, Reason.SATURATED if late else Reason.TIMEOUT) from error
        except httpx.TransportError as error:
            raise self._failure(call, _reason(error)) from error
        if call.sink is None and call.decoder is None:
            return Reply(response.status_code, _retry_after(response), body)
        if call.refusal is not None and response.status_code == _UNAUTHORIZED and _is_json(response):
            return self._decode(call, response, body, call.refusal)
        self._check(call, response)
        return None if call.decoder is None else self._decode(call, response, body, call.decoder)

    async def _read(self, call: Call, response: httpx.Response) -> bytes:
        """Return the body, nothing of it when it is what the call's sink is to take."""
        assert isinstance(response.stream, httpx.AsyncByteStream)
        sink = call.sink if response.is_success and _is_plain(response) else None
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in response.stream:
                size += len(chunk)
                if size > call.max_bytes:
                    raise self._failure(call, Reason.TOO_LARGE, response)
                if sink is None:
                    chunks.append(chunk)
                elif await sink(chunk):
                    break
        finally:
            await response.stream.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _check(self, call: Call, response: httpx.Response) -> None:
        if response.status_code == _TOO_MANY_REQUESTS:
            raise self._failure(call, Reason.RATE_LIMITED, response)
        if not response.is_success:
            raise self._failure(call, Reason.STATUS, response)
        if not _is_plain(response):
            raise self._failure(call, Reason.MALFORMED, response)

    def _decode(
        self, call: Call, response: httpx.Response, body: bytes, decoder: msgspec.json.Decoder[Any]
    ) -> Any:
        try:
            return decoder.decode(body)
        except UNDECODABLE as error:
            raise self._failure(call, Reason.MALFORMED, response) from error

    def _failure(self, call: Call, reason: Reason, response: httpx.Response | None = None) -> UpstreamFailure:
        unsafe = not call.idempotent and reason not in _NEVER_SENT
        if response is None:
            return UpstreamFailure(self._upstream, reason, unsafe=unsafe)
        return UpstreamFailure(
            self._upstream,
            reason,
            status=response.status_code,
            retry_after=_retry_after(response),
            in_json=_is_json(response),
            unsafe=unsafe,
        )


def _is_plain(response: httpx.Response) -> bool:
    """Return whether the body is as we asked for it: whoever compresses all the same may be sending a bomb."""
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding == "identity"


def _is_json(response: httpx.Response) -> bool:
    media_type: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


_NEVER_SENT: Final = frozenset({Reason.REFUSED, Reason.DNS, Reason.TLS, Reason.DISABLED})
_BY_CAUSE: Final[tuple[tuple[type[BaseException], Reason], ...]] = (
    (socket.gaierror, Reason.DNS),
    (ssl.SSLError, Reason.TLS),
    (PermissionError, Reason.DISABLED),
)


def _reason(error: httpx.TransportError) -> Reason:
    if isinstance(error, httpx.TimeoutException):
        return Reason.TIMEOUT
    if isinstance(error, httpx.ConnectError):
        return next((reason for kind, reason in _BY_CAUSE if isinstance(error.__cause__, kind)), Reason.REFUSED)
    return Reason.RESET if isinstance(error, httpx.NetworkError) else Reason.MALFORMED


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110, 10.2.3; the date form is not used by our upstreams)."""
    text = response.headers.get("retry-after", "")
    return float(min(int(text), _MAX_RETRY_AFTER_SECONDS)) if text.isascii() and text.isdigit() else None

"""One pooled HTTP call: sent once, read up to the size cap, decoded into a model or refused."""

import asyncio
import socket
import ssl
from typing import Any, Final

import httpx
import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe.call import UNDECODABLE, Call, Reply

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
                body = await self._read(response, call.max_bytes)
        except TimeoutError as error:
            raise UpstreamFailure(self._upstream, Reason.TIMEOUT) from error
        except httpx.TransportError as error:
            raise UpstreamFailure(self._upstream, _reason(error)) from error
        if call.decoder is None:
            return Reply(response.status_code, response.headers, body)
        return self._decode(response, body, call.decoder)

    async def _read(self, response: httpx.Response, max_bytes: int) -> bytes:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in response.stream:
                size += len(chunk)
                if size > max_bytes:
                    raise UpstreamFailure(self._upstream, Reason.TOO_LARGE, status=response.status_code)
                chunks.append(chunk)
        finally:
            await response.stream.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _decode(self, response: httpx.Response, body: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
        status = response.status_code
        if status == _TOO_MANY_REQUESTS:
            raise UpstreamFailure(
                self._upstream, Reason.RATE_LIMITED, status=status, retry_after=_retry_after(response)
            )
        if not response.is_success:
            raise UpstreamFailure(self._upstream, Reason.STATUS, status=status, retry_after=_retry_after(response))
        if response.headers.get("content-encoding", "identity") != "identity":
            # We asked for identity: whoever compresses all the same may be sending a bomb.
            raise UpstreamFailure(self._upstream, Reason.MALFORMED, status=status)
        try:
            return decoder.decode(body)
        except UNDECODABLE as error:
            raise UpstreamFailure(self._upstream, Reason.MALFORMED, status=status) from error


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

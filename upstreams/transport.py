"""The HTTP/1.1 client transport under every call to an upstream.

Lean because the gateway makes four calls for one answer: no client object, redirects, cookies, proxies or
environment, and a pool that survives cancelled calls (every layer above works by cancelling what is late).
"""

import ssl
from functools import cached_property, partial

import httpx

from upstreams._http.connection import Connection
from upstreams._http.dial import dial
from upstreams._http.pool import Pool
from upstreams._http.request import Origin, encode, origin_of


class LeanTransport(httpx.AsyncBaseTransport):
    """Keep-alive connections to any number of origins, one exchange at a time on each.

    It knows no timeouts: put ``asyncio.timeout`` around a call, it may be cancelled at any moment. It bounds
    what idles, not what is active. With the request extension ``public_only`` set to True only public network
    addresses are connected to, with ``fresh_connection`` none that was used before serves the request: the
    server may be closing one as the request arrives, and nobody would know whether it was carried out.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._given_ssl_context = ssl_context
        self._pool = Pool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to ``request`` as soon as its head is there; its stream must be read or closed.

        Raises httpx.ConnectError (its cause is the OSError, socket.gaierror, ssl.SSLError, or PermissionError
        for an address that is not public), httpx.ReadError when the connection ends before the answer,
        httpx.RemoteProtocolError when the answer is not HTTP/1, httpx.LocalProtocolError and
        httpx.UnsupportedProtocol for a request that cannot be sent, TypeError for a streamed body.
        """
        message = encode(request)
        origin = origin_of(request)
        fresh = request.extensions.get("fresh_connection") is True
        connection = (None if fresh else self._pool.take(origin)) or await self._dial(origin)
        return await connection.start(message, head_only=request.method == "HEAD").response()

    async def aclose(self) -> None:
        """Close every connection; an exchange under way ends with httpx.ReadError."""
        await self._pool.aclose()

    async def _dial(self, origin: Origin) -> Connection:
        context = self._ssl_context if origin.scheme == "https" else None
        connection = await dial(origin, context, partial(Connection, origin, self._pool))
        # Not when the loop calls connection_made: cancelled right then, uvloop never calls connection_lost.
        self._pool.add(connection)
        return connection

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        if self._given_ssl_context is not None:
            return self._given_ssl_context
        context = httpx.create_ssl_context(trust_env=False)
        context.set_alpn_protocols(["http/1.1"])
        return context

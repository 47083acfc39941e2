"""One answer as it arrives: its head as a future, its body as a stream."""

import asyncio
from typing import Final, Self

import httpx

MAX_BUFFERED_BYTES: Final = 256 * 1024


class Exchange(httpx.AsyncByteStream):
    """The answer to one request, filled by its connection and read by its caller.

    ``response`` returns the httpx.Response, whose stream this is. Iterating gives what has come of the body
    (never decoded) and raises httpx.ReadError when the body ends early, httpx.RemoteProtocolError
    when it is not HTTP and httpx.StreamClosed after ``aclose``. Closing before the end, or being cancelled,
    ends the connection: what is still to come must not meet the next request.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Let go as soon as it resolves: it holds the response, which holds this, and bodies must not wait for
        # the garbage collector.
        self._head: asyncio.Future[httpx.Response] | None = loop.create_future()
        # None as soon as the answer has ended: from then on the connection may be serving someone else.
        self._transport: asyncio.Transport | None = transport
        self._error: Exception | None = None
        self._arrived = bytearray()
        self._paused = False
        self._arrival: asyncio.Future[None] | None = None

    async def response(self) -> httpx.Response:
        """Return the response when its head is there. Raises as the transport does; then all is closed."""
        head = self._head
        assert head is not None
        try:
            return await head
        except BaseException:
            self.close()
            if head.done() and not head.cancelled():
                head.exception()  # seen, so that a caller cancelled at that moment leaves no log of it
            raise

    def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        head, self._head = self._head, None
        if head is not None and not head.done():  # a cancelled caller shows here before it gets to run
            head.set_result(httpx.Response(status, headers=headers, stream=self))

    def feed(self, chunk: bytes) -> None:
        self._arrived += chunk
        if len(self._arrived) > MAX_BUFFERED_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def finish(self, error: Exception | None = None) -> None:
        """End the answer: complete, or with the error that reading it raises once what came is used up."""
        if self._transport is None:
            return
        self._resume()
        self._transport = None
        self._error = error
        head, self._head = self._head, None
        if error is not None and head is not None and not head.done():
            head.set_exception(error)
        self._wake()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            self._error = httpx.StreamClosed()
            self._arrived.clear()

    async def aclose(self) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._arrived:
            if self._error is not None:
                raise self._error
            if self._transport is None:
                raise StopAsyncIteration
            await self._wait()
        chunk = bytes(self._arrived)
        self._arrived.clear()
        self._resume()
        return chunk

    async def _wait(self) -> None:
        self._arrival = self._loop.create_future()
        try:
            await self._arrival
        except BaseException:
            self.close()
            raise
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

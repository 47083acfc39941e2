"""Calls to pass through one layer of the pipe, and a next layer that does as it is told."""

import asyncio

import httpx
import msgspec

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import MAX_BODY_BYTES, Call

ANYTHING = msgspec.json.Decoder()


def call(*, expires_in=10.0, max_bytes=MAX_BODY_BYTES, idempotent=True, decoder=ANYTHING, sink=None):
    expires = asyncio.get_running_loop().time() + expires_in
    return Call(httpx.Request("GET", "http://up/"), expires, max_bytes, idempotent, decoder, sink)


def failure(reason=Reason.REFUSED, **more):
    return UpstreamFailure("up", reason, **more)


class Script:
    """A next layer: raises or returns what it was given, in this order, and notes when it was called."""

    def __init__(self, *outcomes):
        self._outcomes = list(outcomes)
        self.called_at = []

    async def __call__(self, call):
        self.called_at.append(asyncio.get_running_loop().time())
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Held:
    """A next layer whose calls end when the test says so."""

    def __init__(self):
        self.calls = []

    async def __call__(self, call):
        ended = asyncio.get_running_loop().create_future()
        self.calls.append(ended)
        return await ended


class Body(httpx.AsyncByteStream):
    """A body in chunks, one of which may be an error; notes how far it was read, and that it was closed."""

    def __init__(self, *chunks):
        self._chunks = chunks
        self.read = 0
        self.closed = False

    async def __aiter__(self):
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.read += 1
            yield chunk

    async def aclose(self):
        self.closed = True

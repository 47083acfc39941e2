"""One pretend upstream on a port of its own, without the platform around it."""

from contextlib import asynccontextmanager

from demo.upstream import Upstream


@asynccontextmanager
async def running(routes, otherwise):
    """Serve ``routes``; yield the URL."""
    upstream = Upstream("upstream", routes, otherwise, host="127.0.0.1", port=0)
    await upstream.open()
    try:
        yield upstream.url
    finally:
        await upstream.close()

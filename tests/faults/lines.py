"""The lines from a gateway to its HTTP upstreams, each with the faults of a wire."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from tests.faults.proxy import Fault, Proxy, proxy


class Lines:
    """A proxy before each URL of each upstream."""

    def __init__(self, proxies: Mapping[str, Mapping[str, Proxy]]) -> None:
        self._proxies = proxies

    @classmethod
    @asynccontextmanager
    async def to(cls, urls: Mapping[str, Sequence[str]]) -> AsyncIterator[Self]:
        """Lay lines to the upstreams, which are known by a name and have one or more URLs."""
        async with AsyncExitStack() as stack:

            async def before(url: str) -> Proxy:
                return await stack.enter_async_context(proxy(urlsplit(url).port or 0))

            yield cls({name: {url: await before(url) for url in each} for name, each in urls.items()})

    def used_by(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with the proxies' URLs in place of the upstreams' own."""
        text = json.dumps(settings)
        for proxies in self._proxies.values():
            for url, between in proxies.items():
                text = re.sub(rf"{re.escape(url)}\b", f"http://127.0.0.1:{between.port}", text)
        used: dict[str, Any] = json.loads(text)
        return used

    async def misbehave(self, fault: Fault | None, *upstreams: str, **how: Any) -> None:
        """Have the lines to these upstreams, all without a name, the fault from now on; None: none."""
        for name in upstreams or self._proxies:
            for between in self._proxies[name].values():
                await between.misbehave(fault, **how)

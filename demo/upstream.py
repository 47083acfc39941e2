"""A pretend upstream on a port of its own: routes, and the faults it is told to have."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from demo import faults
from demo.asgi import Answer, json_answer, plain_status, whole_body
from demo.listener import Listener

SWITCH = "/__faults"


class Upstream:
    """One upstream: an answer for each path, another for all the rest, and the faults it is told to have."""

    def __init__(self, name: str, routes: dict[str, ASGIApp], otherwise: ASGIApp, *, host: str, port: int) -> None:
        self.name = name
        self.faults: faults.Faults | None = None
        self._routes = routes | {SWITCH: self.switch}
        self._otherwise = otherwise
        self._listener = Listener(self, host, port)
        self._switching = asyncio.Lock()
        self._expiry: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return self._listener.url

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope["path"]
        app = self._routes.get(path, self._otherwise)
        if self.faults is None or path == SWITCH:
            return app(scope, receive, send)
        transport = self._listener.transport(scope["client"])
        if transport is None:
            return app(scope, receive, send)
        return faults.inject(self.faults, faults.Exchange(app, scope, receive, send, transport))

    async def open(self) -> None:
        await self._listener.open()

    async def close(self) -> None:
        self._keep_for(None)
        await self._listener.close()

    async def misbehave(self, wanted: faults.Faults | None, asker: tuple[str, int] | None = None) -> None:
        """Have these faults and no others from now on; None: none at all.

        When they refuse connections, that of ``asker`` is answered before it ends.
        """
        async with self._switching:
            self.faults = wanted
            self._keep_for(None if wanted is None else wanted.seconds)
            if wanted is not None and wanted.refuse:
                await self._listener.refuse(asker)
            else:
                await self._listener.open()

    def _keep_for(self, seconds: float | None) -> None:
        if self._expiry is not None and self._expiry is not asyncio.current_task():
            self._expiry.cancel()
        self._expiry = None if seconds is None else asyncio.create_task(self._expire(seconds))

    async def _expire(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.misbehave(None)

    async def switch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show (GET), set (POST) or clear (DELETE) the faults; they are in force when the answer arrives."""
        refusal = None
        method = scope["method"]
        if method == "POST":
            refusal = await self._set(await whole_body(receive), scope["client"])
        elif method == "DELETE":
            await self.misbehave(None)
        elif method != "GET":
            refusal = plain_status(HTTPStatus.METHOD_NOT_ALLOWED)
        answer = refusal or json_answer({"upstream": self.name, "faults": faults.describe(self.faults)})
        await answer(scope, receive, send)

    async def _set(self, body: bytes, asker: tuple[str, int]) -> Answer | None:
        try:
            wanted = faults.parse(body)
        except msgspec.DecodeError as error:
            return faults.refusal(error)
        await self.misbehave(wanted, asker)
        return None

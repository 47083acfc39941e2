"""A case's upstreams on ports of their own, one for each."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import respx
from starlette.types import Receive, Scope, Send

from demo.listener import Listener
from tests.contract.upstream import is_down, names_of


@asynccontextmanager
async def on_sockets(state: dict[str, Any], router: respx.Router) -> AsyncIterator[dict[str, str]]:
    """Serve the upstreams that ``router`` answers for; yield their URLs: nobody is at those that are down."""
    listeners = {name: _listener(router, name) for name in names_of(state)}
    with refusing() as nobody:
        for name, listener in listeners.items():
            if not is_down(state, name):
                await listener.open()
        try:
            yield {name: nobody if is_down(state, name) else each.url for name, each in listeners.items()}
        finally:
            for listener in listeners.values():
                await listener.close()


@contextmanager
def refusing() -> Iterator[str]:
    """Yield an address that refuses connections for as long as it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def _listener(router: respx.Router, host: str) -> Listener:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await router.async_handler(await _request(host, scope, receive))
            await _send(answer, send)
        except httpx.TransportError as error:
            transport = listener.transport(scope["client"])
            if isinstance(error, httpx.ReadError) and transport is not None:
                transport.close()
            while (await receive())["type"] != "http.disconnect":
                pass

    listener = Listener(app, "127.0.0.1", 0)
    return listener


async def _send(answer: httpx.Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    async for piece in answer.stream:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def _request(host: str, scope: Scope, receive: Receive) -> httpx.Request:
    content = b""
    while (message := await receive())["type"] == "http.request":
        content += message.get("body", b"")
        if not message.get("more_body"):
            break
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    target = (scope["raw_path"] + query).decode("ascii")
    return httpx.Request(scope["method"], f"http://{host}{target}", headers=scope["headers"], content=content)

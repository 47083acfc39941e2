"""The upstreams that a case describes: one router for both ways of running it, and the sockets of one."""

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import respx
from starlette.types import Receive, Scope, Send

from demo.listener import Listener

CAPTURES = Path(__file__).parents[1] / "captures"
KEY = "metrics-api-key"
SHARED_TOKEN = "shared-gateway-token"


def name_of(service: str) -> str:
    """Return the host that a monitored service has."""
    return service.lower().replace(" ", "-")


def names_of(state: Mapping[str, Any]) -> list[str]:
    """Return the upstreams by the hosts they have."""
    return ["gateway", "metrics", *map(name_of, state.get("services", {}))]


def is_down(state: Mapping[str, Any], name: str) -> bool:
    services = {name_of(service): answers for service, answers in state.get("services", {}).items()}
    return bool(state.get(name, services.get(name)) == "down")


def router_of(state: Mapping[str, Any]) -> respx.Router:
    """Return what answers as ``state`` says, each upstream at ``http://<name>``; what it lacks is 404."""
    router = respx.Router(assert_all_called=False)
    for service, answer in state.get("services", {}).items():
        _route(router, name_of(service), {"GET /health": answer} if answer != "down" else answer)
    for name in ("gateway", "metrics"):
        _route(router, name, state.get(name) or {})
    return router


def _route(router: respx.Router, host: str, answers: Any) -> None:
    if answers == "down":
        router.route(host=host).mock(side_effect=httpx.ConnectError("refused"))
        return
    for line, answer in answers.items() if answers != "not configured" else ():
        method, path = line.split(" ")
        router.route(method=method, host=host, path=path).mock(return_value=_answer(answer))
    router.route(host=host).mock(return_value=httpx.Response(404, text="Not Found"))


def _answer(given: Mapping[str, Any]) -> httpx.Response:
    if "capture" in given:
        return captured(given["capture"])
    fields: dict[str, Any] = {"json": given["body"]} if "body" in given else {"text": given.get("text", "")}
    return httpx.Response(given.get("status", 200), headers=given.get("headers"), **fields)


def captured(name: str) -> httpx.Response:
    """Return the answer that a real upstream once gave."""
    _, _, answer = (CAPTURES / f"{name}.http").read_text(encoding="utf-8").partition("\nHTTP/1.1 ")
    head, _, body = answer.partition("\n\n")
    status, *fields = head.splitlines()
    kept = [line.split(": ", 1) for line in fields]
    headers = [(key, value) for key, value in kept if key.lower() not in {"content-length", "transfer-encoding"}]
    return httpx.Response(int(status.split()[0]), headers=headers, content=body.strip().encode())


@asynccontextmanager
async def on_sockets(state: Mapping[str, Any]) -> AsyncIterator[dict[str, str]]:
    """Serve the upstreams on ports of their own; yield their URLs: nobody is at those that are down."""
    router = router_of(state)
    listeners = {name: Listener(_app(router, name), "127.0.0.1", 0) for name in names_of(state)}
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


def _app(router: respx.Router, host: str) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        request = httpx.Request(scope["method"], f"http://{host}{scope['path']}", content=message.get("body", b""))
        answer = await router.async_handler(request)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
        await send({"type": "http.response.body", "body": answer.content})

    return app

"""The ways in which a pretend upstream can be told to misbehave, on the wire as real ones do."""

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from http.client import responses
from typing import Annotated, Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.asgi import HTML_TYPE, JSON_TYPE, Answer, json_answer, whole_body

MEGABYTE = 1_000_000
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Status = Annotated[int, msgspec.Meta(ge=200, le=599)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is wrong with an upstream. ``latency`` adds to the others, of which the first one set applies.

    ``refuse`` closes the port itself, so the listener sees to it; ``seconds`` is when all of it ends.
    """

    latency: Seconds | None = None
    refuse: bool = False
    hang: bool = False
    reset: bool = False
    status: Status | None = None
    html: bool = False
    malformed: bool = False
    truncated: bool = False
    huge: bool = False
    slow: bool = False
    gzip_bomb: bool = False
    nan: bool = False
    deep: bool = False
    wrong_types: bool = False
    nulls: bool = False
    redirect: bool = False
    seconds: Seconds | None = None


NAMES = Faults.__struct_fields__


def parse(body: bytes) -> Faults | None:
    """Return the faults that a JSON body sets, None when it sets none. Raises msgspec.DecodeError."""
    faults = msgspec.json.decode(body, type=Faults)
    return faults if any(getattr(faults, name) for name in NAMES if name != "seconds") else None


def describe(faults: Faults | None) -> dict[str, Any]:
    """Return the faults that are set, by name."""
    return {} if faults is None else dict(msgspec.to_builtins(faults))


def refusal(error: msgspec.DecodeError) -> Answer:
    """Return the 400 that names the key at fault and lists what exists."""
    return json_answer({"error": str(error), "faults": NAMES}, 400)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to an upstream that misbehaves, its body already read."""

    app: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    transport: asyncio.Transport

    async def client_left(self, within: float | None = None) -> bool:
        """Wait for the client to leave, ``within`` seconds at most; return whether it did."""
        try:
            async with asyncio.timeout(within):
                await self.receive()
        except TimeoutError:
            return False
        return True

    async def answer(self, answer: ASGIApp) -> None:
        await answer(self.scope, self.receive, self.send)

    async def real_answer(self) -> tuple[Message, bytes]:
        """Return the start and the body of what the upstream would have said."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app(self.scope, self.receive, keep)
        return messages[0], b"".join(message["body"] for message in messages[1:])


async def inject(faults: Faults, exchange: Exchange) -> None:
    """Answer as the faults say: the latency, then the first of the others that is set."""
    body = await whole_body(exchange.receive)
    if faults.latency and await exchange.client_left(faults.latency):
        return
    exchange = replace(exchange, app=_with_body(exchange.app, body))
    name = next((name for name in MISBEHAVIOURS if getattr(faults, name)), None)
    if name is None:
        await exchange.answer(exchange.app)
    else:
        await MISBEHAVIOURS[name](exchange, getattr(faults, name))


def _with_body(app: ASGIApp, body: bytes) -> ASGIApp:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def replay(scope: Scope, _receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return replay


async def hang(exchange: Exchange, _: object) -> None:
    await exchange.client_left()


async def reset(exchange: Exchange, _: object) -> None:
    # Lingering for no time makes the kernel send RST where it would send FIN.
    connection = exchange.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.transport.abort()
    await exchange.client_left()


async def status(exchange: Exchange, code: int) -> None:
    headers = {"retry_after": "20"} if code in (429, 503) else {}
    answer = json_answer({"error": responses.get(code, "Fault")}, code, **headers)
    await exchange.answer(Answer(code, JSON_TYPE, b"") if code in (204, 205, 304) else answer)


async def truncated(exchange: Exchange, _: object) -> None:
    start, body = await exchange.real_answer()
    await exchange.send(start)
    await exchange.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    exchange.transport.close()
    await exchange.client_left()


async def slow(exchange: Exchange, _: object) -> None:
    start, body = await exchange.real_answer()
    await exchange.send(start)
    for position in range(len(body)):
        more = position + 1 < len(body)
        await exchange.send(
            {"type": "http.response.body", "body": body[position : position + 1], "more_body": more}
        )
        if more and await exchange.client_left(1.0):
            return


async def huge(exchange: Exchange, _: object) -> None:
    headers = [(b"content-type", JSON_TYPE.encode())]
    await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
    line = b'"' + b"x" * (MEGABYTE // 20 - 3) + b'",'
    await exchange.send({"type": "http.response.body", "body": b'{"padding":[', "more_body": True})
    for _line in range(50 * 20):
        await exchange.send({"type": "http.response.body", "body": line, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b'""]}'})


@cache
def _bomb() -> Answer:
    packer = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    parts = [packer.compress(b'{"padding":"')]
    parts += [packer.compress(b"0" * MEGABYTE) for _ in range(100)]
    parts += [packer.compress(b'"}'), packer.flush()]
    return Answer(200, JSON_TYPE, b"".join(parts), content_encoding="gzip")


async def gzip_bomb(exchange: Exchange, _: object) -> None:
    await exchange.answer(_bomb())


def _always(answer: Answer) -> Callable[[Exchange, Any], Awaitable[None]]:
    async def misbehave(exchange: Exchange, _: object) -> None:
        await exchange.answer(answer)

    return misbehave


def _rewritten(rewrite: Callable[[Any], Any]) -> Callable[[Exchange, Any], Awaitable[None]]:
    async def misbehave(exchange: Exchange, _: object) -> None:
        start, body = await exchange.real_answer()
        try:
            answer = json_answer(_everywhere(rewrite, json.loads(body)), start["status"])
        except ValueError:
            await exchange.send(start)
            await exchange.send({"type": "http.response.body", "body": body})
        else:
            await exchange.answer(answer)

    return misbehave


def _everywhere(rewrite: Callable[[Any], Any], value: Any) -> Any:
    match rewrite(value):
        case dict() as found:
            return {key: _everywhere(rewrite, inner) for key, inner in found.items()}
        case list() as found:
            return [_everywhere(rewrite, inner) for inner in found]
        case found:
            return found


def _nan(value: Any) -> Any:
    return float("nan") if isinstance(value, int | float) and not isinstance(value, bool) else value


def _wrong_type(value: Any) -> Any:
    match value:
        case list():
            return "not a list"
        case bool() | None:
            return "neither"
        case str():
            return 12345
        case int() | float():
            return {"amount": str(value)}
        case _:
            return value


def _null_list(value: Any) -> Any:
    return None if isinstance(value, list) else value


MISBEHAVIOURS: dict[str, Callable[[Exchange, Any], Awaitable[None]]] = {
    "hang": hang,
    "reset": reset,
    "status": status,
    "html": _always(Answer(200, HTML_TYPE, b"<!doctype html><title>Welcome</title><h1>It works!</h1>")),
    "malformed": _always(Answer(200, JSON_TYPE, b'{"ok":true,"result":{"details":{"sessions":[{"key":')),
    "truncated": truncated,
    "huge": huge,
    "slow": slow,
    "gzip_bomb": gzip_bomb,
    "nan": _rewritten(_nan),
    "deep": _always(Answer(200, JSON_TYPE, b'{"a":' * 10_000 + b"1" + b"}" * 10_000)),
    "wrong_types": _rewritten(_wrong_type),
    "nulls": _rewritten(_null_list),
    "redirect": _always(Answer(302, JSON_TYPE, b"{}", location="http://169.254.169.254/latest/meta-data/")),
}

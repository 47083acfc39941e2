"""``python -m bench.upstream``: the pretend gateway, and a way to the database, both counting what they are asked.

Prints its addresses as one line of JSON. ``GET /__counts`` on the gateway tells the counts so far.
"""

import asyncio
import json
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial

import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.store import LARGE_USER, path_of
from demo import gateway
from demo.asgi import fresh, json_answer
from demo.upstream import Upstream

COUNTS = "/__counts"
STATEMENTS = "statements"
# A simple query and the execution of a prepared statement (PostgreSQL's frontend/backend protocol, 54.7).
_ASKING = frozenset(b"QE")


class Counted:
    """An application that counts its requests."""

    def __init__(self, name: str, app: ASGIApp, counts: Counter[str]) -> None:
        self._name = name
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._counts[self._name] += 1
        await self._app(scope, receive, send)


def pretend_gateway(counts: Counter[str]) -> Upstream:
    """Return the demo's gateway, once below the root and once below each user's own path."""
    routes = {path: Counted(path, app, counts) for path, app in gateway.routes(datetime.now(UTC)).items()}
    paths: dict[str, ASGIApp] = dict(routes)
    for user in range(LARGE_USER + 1):
        paths |= {path_of(user) + path: app for path, app in routes.items()}
    paths[COUNTS] = fresh(lambda: json_answer(counts))
    return Upstream("gateway", paths, gateway.PAGE, host="127.0.0.1", port=0)


async def pass_on(
    postgres: int, counts: Counter[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pass one connection on to the database on that port, counting the statements."""
    from_server, to_server = await asyncio.open_connection("127.0.0.1", postgres)
    answers = asyncio.create_task(_copy(from_server, writer))
    try:
        await _copy_counting(reader, to_server, counts)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client left
    finally:
        to_server.close()
        await answers


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # either side left
    finally:
        writer.close()


async def _copy_counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str]) -> None:
    typed = False
    while True:
        # The first message, and the one after a request for encryption was refused, has no type.
        head = await reader.readexactly(5 if typed else 4)
        body = await reader.readexactly(int.from_bytes(head[-4:]) - 4)
        writer.write(head + body)
        if typed and head[0] in _ASKING:
            counts[STATEMENTS] += 1
        typed = typed or body[:4] == b"\x00\x03\x00\x00"


async def run(postgres: int) -> None:
    counts: Counter[str] = Counter()
    upstream = pretend_gateway(counts)
    await upstream.open()
    server = await asyncio.start_server(partial(pass_on, postgres, counts), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"gateway": upstream.url, "postgres": port}) + "\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(int(sys.argv[1])))

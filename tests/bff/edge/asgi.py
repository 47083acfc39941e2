"""Requests to an ASGI application, and the whole of what it sends back."""

import json
from dataclasses import dataclass

from bff.edge.short_way import Request


@dataclass
class Response:
    status: int
    raw: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self):
        names = [name for name, _ in self.raw]
        assert len(names) == len(set(names)), f"a header twice: {names}"
        return {name.decode(): value.decode() for name, value in self.raw}

    @property
    def json(self):
        return json.loads(self.body)


async def request(
    app, path="/note", method="GET", *, query=b"", scheme="http", headers=None, more=(), path_params=None, body=b""
):
    """Send a request; ``headers`` by name, ``more`` as pairs. Whatever the application raises, raises."""
    given = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "scheme": scheme,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "headers": [*given, *more],
        "path_params": path_params or {},
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return Response(sent[0]["status"], sent[0]["headers"], sent[1].get("body", b""))


def at_once(edge, path, headers, *, secure=False):
    """Return what the short way responds, if anything."""
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    written = edge.at_once(Request(path.encode(), fields, server_lines=b"", client=None, secure=secure))
    if written is None:
        return None
    head, _, body = written.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    return Response(int(first.split()[1]), [tuple(line.split(b": ", 1)) for line in lines], body)

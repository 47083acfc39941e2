"""A ``bff serve`` in a process of its own, and a client to talk to it."""

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.forks import Forks

READY_WITHIN = 20.0

_OF_THE_CONNECTION = {b"date", b"connection", b"transfer-encoding"}


@contextmanager
def serving(settings: Mapping[str, Any], folder: Path, forks: Forks) -> Iterator[tuple[str, Path]]:
    """Run ``bff serve``; yield its public URL, and the file that its errors are in."""
    config, output, errors = (folder / name for name in ("config.yaml", "output", "errors"))
    config.write_text(json.dumps(settings), encoding="utf-8")
    pid = forks.start(["serve", "--config", str(config)], folder, output, errors, os.environ)
    try:
        yield _url(output, errors), errors
    finally:
        forks.end(pid)


def _url(output: Path, errors: Path) -> str:
    give_up = time.monotonic() + READY_WITHIN
    while not (output.exists() and (line := output.read_text(encoding="utf-8")).endswith("\n")):
        assert time.monotonic() < give_up, errors.read_text(encoding="utf-8")
        time.sleep(0.002)
    return line.split()[3]


class Wire:
    """A client that sends what it is told, byte for byte."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = (address.hostname, address.port)

    async def ask(self, request: httpx.Request, client: str | None) -> httpx.Response:
        """Return the whole answer; a ``client`` is named as proxies do it."""
        forwarded = [(b"X-Forwarded-For", client.encode())] if client else []
        reader, writer = await asyncio.open_connection(*self._address, limit=1 << 20)
        try:
            lines = [b"%b: %b\r\n" % header for header in [*request.headers.raw, *forwarded]]
            start = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
            writer.write(start + b"".join(lines) + b"Connection: close\r\n\r\n" + request.content)
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        first, *fields = head.split(b"\r\n")
        pairs = [line.split(b": ", 1) for line in fields]
        headers = [(name, value) for name, value in pairs if name.lower() not in _OF_THE_CONNECTION]
        content = unchunked(body) if [b"transfer-encoding", b"chunked"] in pairs else body
        return httpx.Response(int(first.split()[1]), headers=headers, content=content)


def unchunked(body: bytes) -> bytes:
    """Return the content of a body in chunks (RFC 9112, 7.1); there is none in an answer to HEAD."""
    assert not body or body.endswith(b"0\r\n\r\n"), "cut off"
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        end = int(size, 16)
        content += rest[:end]
        body = rest[end + 2 :]
    return content

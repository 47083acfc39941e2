"""A pretend platform on free ports, a client on bare sockets, and real exchanges to compare with."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo.platform import Platform, Ports

CAPTURES = Path(__file__).parents[1] / "captures"


@dataclass
class Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)


def _unchunked(body):
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole


class Client:
    """Each request on a connection of its own; failures of the connection are raised as they come."""

    async def send(self, url, method="GET", body=None, headers=()):
        """Send a request and return the connection's reader and writer."""
        address = urlsplit(url)
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        lines += [f"Content-Length: {len(content)}", "", ""]
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write("\r\n".join(lines).encode() + content)
        return reader, writer

    async def head(self, reader):
        """Read the status line and the headers."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *fields = head.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in fields)
        return Reply(int(first.split()[1]), {name.lower(): value for name, value in pairs})

    async def ask(self, url, method="GET", body=None, headers=()):
        """Return the whole answer, read until the connection ends."""
        reader, writer = await self.send(url, method, body, headers)
        try:
            reply = await self.head(reader)
            reply.body = await reader.read()
        finally:
            writer.close()
        if "transfer-encoding" in reply.headers:
            reply.body = _unchunked(reply.body)
        return reply

    async def invoke(self, url, token, tool, args=None, **headers):
        headers = {"Authorization": f"Bearer {token}"} | headers
        return await self.ask(url + "/tools/invoke", "POST", {"tool": tool, "args": args or {}}, headers)


@pytest.fixture
def client():
    return Client()


@pytest.fixture
async def platform():
    async with Platform(Ports.free()) as running:
        yield running


@pytest.fixture
def capture():
    """Return a real answer by the name of its file."""

    def read(name):
        _, _, answer = (CAPTURES / f"{name}.http").read_text().partition("\nHTTP/1.1 ")
        head, _, body = answer.partition("\n\n")
        status, *fields = head.splitlines()
        headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in fields)}
        return Reply(int(status.split()[0]), headers, body.strip().encode())

    return read


@pytest.fixture
def gateway(platform):
    return platform.urls["gateway"]


@pytest.fixture
def fault(platform, client):
    """Set the gateway's faults through the control port and return its answer."""

    async def switch(**faults):
        return await client.ask(f"{platform.control_url}/gateway/__faults", "POST", faults)

    return switch

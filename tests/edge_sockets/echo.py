"""An application that answers with what it was asked, behind the protocol."""

import asyncio

from tests.edge_sockets.wire import until


class Echo:
    """Answers with the path and the size of the body, ``/short`` at once and ``/wait`` when it is let go."""

    def __init__(self):
        self.go = asyncio.Event()
        self.waiting = 0
        self.left = 0

    def at_once(self, request):
        return b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n/short" if request.url == b"/short" else None

    async def __call__(self, scope, receive, send):
        size = 0
        if scope["path"] == "/wait":
            self.waiting += 1
            await self.go.wait()
        if scope["path"] != "/early":
            while (message := await receive())["type"] == "http.request":
                size += len(message["body"])
                if not message["more_body"]:
                    break
            self.left += message["type"] == "http.disconnect"
        body = b"%b %d" % (scope["path"].encode(), size)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def connection_of(front):
    """Return the server's side, to give it pieces that sockets would cut as they like."""
    await until(lambda: front.connections)
    (connection,) = front.connections
    return connection

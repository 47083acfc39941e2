"""``python -m tests.faults.crowd PORT IDLE SLOW TOKEN``: idle clients, and slow ones, until the input ends.

Says ``here`` when all of them have come. The slow ones send a byte a second, some of a head, some of a body.
"""

import resource
import select
import socket
import sys
import time

REQUEST = "GET /api/dashboard/cost HTTP/1.1\r\nHost: bff\r\nCookie: agentbot-session={token}\r\n\r\n"
HEAD = "GET / HTTP/1.1\r\nHost: bff\r\nX: "
BODY = "POST /api/chat HTTP/1.1\r\nHost: bff\r\nCookie: agentbot-session={token}\r\nContent-Length: 1000\r\n\r\n"
EVERY = 1.0  # seconds between two bytes of a slow client


class Slow:
    """A client that begins again when it has been refused."""

    def __init__(self, port: int, begin: bytes) -> None:
        self._port = port
        self._begin = begin
        self._connection = self._new()

    def drip(self) -> None:
        try:
            self._connection.send(b"x")
        except OSError:
            self._connection.close()
            self._connection = self._new()

    def _new(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.sendall(self._begin)
        return connection


def idle(port: int, request: bytes) -> socket.socket:
    """Return a connection on which one request has been answered."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(request)
    return connection


def main(port: int, many: int, slow: int, token: str) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = [idle(port, REQUEST.format(token=token).encode()) for _ in range(many)]
    for connection in crowd:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    dripping = [Slow(port, text.format(token=token).encode()) for text in (HEAD, BODY) for _ in range(slow // 2)]
    sys.stdout.write("here\n")
    sys.stdout.flush()
    begun = time.monotonic()
    drops = 0
    while not select.select([sys.stdin], [], [], max(0.0, begun + drops * EVERY / slow - time.monotonic()))[0]:
        dripping[drops % slow].drip()
        drops += 1


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:4]), sys.argv[4])

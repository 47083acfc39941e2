"""The connections of one process: how many there may be, and for how long each may be idle, slow or deaf."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from bff.metrics import Metrics

HEAD_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 75.0  # longer than the 60 s after which the usual balancers close an idle connection
WRITE_SECONDS: Final = 30.0
CLOSING_SECONDS: Final = 5.0

# For so long a client that is turned away may take its answer, and so many at once: the others get none.
_FAREWELL_SECONDS: Final = 1.0
MOST_FAREWELLS: Final = 100


class Connection(Protocol):
    """One client's connection, as far as it matters how many there are."""

    transport: asyncio.Transport

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for its response."""

    def be_the_last(self) -> None:
        """Have the response to the request in progress, if there is one, end the connection."""


class Waiting:
    """Connections that each may wait so many seconds for something, whoever has waited longest first.

    One timer for all: a thousand connections that begin and end to wait cost a thousand moves in a dictionary.
    """

    def __init__(self, seconds: float, give_up: Callable[[Connection], None]) -> None:
        self._seconds = seconds
        self._give_up = give_up
        self._since: OrderedDict[Connection, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._since

    def begin(self, connection: Connection) -> None:
        """Have the connection wait from now on, also if it was waiting already."""
        self._since[connection] = asyncio.get_running_loop().time()
        self._since.move_to_end(connection)
        if self._timer is None:
            self._look_in(self._seconds)

    def end(self, connection: Connection) -> None:
        self._since.pop(connection, None)

    def longest(self) -> Connection | None:
        """Return the connection that has waited longest, None when none waits."""
        return next(iter(self._since), None)

    def seconds(self, connection: Connection) -> float:
        """Return for how long the connection has waited, 0 when it does not."""
        since = self._since.get(connection)
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end_the_longest)

    def _end_the_longest(self) -> None:
        self._timer = None
        while (connection := self.longest()) is not None:
            left = self._seconds - self.seconds(connection)
            if left > 0:
                self._look_in(left)
                return
            self.end(connection)
            self._give_up(connection)


class Connections:
    """All open ones, ``limit`` at most. Those in which no request is in progress make room for new ones.

    ``idle`` wait for the next request, ``heads`` for the rest of a head, ``writes`` for the client to read.
    """

    def __init__(
        self,
        limit: int,
        metrics: Metrics,
        *,
        head_seconds: float = HEAD_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        write_seconds: float = WRITE_SECONDS,
        closing_seconds: float = CLOSING_SECONDS,
    ) -> None:
        self._limit = limit
        self._dropped = metrics.dropped_connections
        self._open: set[Connection] = set()
        self._farewells: set[_Farewell] = set()
        self._closing: set[Connection] = set()
        self._closing_seconds = closing_seconds
        self._sweep: asyncio.TimerHandle | None = None
        self.draining = False
        self.idle = Waiting(idle_seconds, _close)
        self.heads = Waiting(head_seconds, self._drop_slow_head)
        self.writes = Waiting(write_seconds, lambda connection: self._abort(connection, "slow_reader"))

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> bool:
        """Return whether there is room for a new connection, having made it if possible."""
        if len(self._open) >= self._limit and not self._make_room():
            return False
        self._open.add(connection)
        self.heads.begin(connection)
        if self._sweep is None:
            self._sweep_later()
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._open.discard(connection)
        self._closing.discard(connection)
        for waiting in (self.idle, self.heads, self.writes):
            waiting.end(connection)

    def turn_away(self, transport: asyncio.Transport, answer: bytes) -> None:
        """End a connection for which there is no room with ``answer``, or without a word when many just came."""
        self._dropped.labels("full").inc()
        if len(self._farewells) >= MOST_FAREWELLS:
            transport.abort()
            return
        transport.set_protocol(_Farewell(transport, self._farewells))
        transport.write(answer)
        transport.write_eof()

    def drain(self) -> None:
        """From now on every response is its connection's last."""
        self.draining = True
        for connection in self._open:
            connection.be_the_last()

    def abort(self) -> None:
        """End every connection at once, whatever is still to be sent."""
        for connection in list(self._open):
            connection.transport.abort()

    def _make_room(self) -> bool:
        longest = self.idle.longest() or self.heads.longest()
        if longest is None or longest.is_busy:
            return False
        self.leave(longest)
        self._abort(longest, "made_room")
        return True

    def _drop_slow_head(self, connection: Connection) -> None:
        self._dropped.labels("slow_head").inc()
        connection.transport.close()

    def _abort(self, connection: Connection, reason: str) -> None:
        self._dropped.labels(reason).inc()
        connection.transport.abort()

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self._closing_seconds, self._sweep_closing)

    def _sweep_closing(self) -> None:
        """End those that were closing when this was called last: they wait for a client that does not read."""
        self._sweep = None
        closing = {connection for connection in self._open if connection.transport.is_closing()}
        for connection in closing & self._closing:
            self._abort(connection, "lingering")
        self._closing = closing
        if self._open:
            self._sweep_later()


class _Farewell(asyncio.Protocol):
    """Takes what a client still sends, for what is left unread resets a connection before the answer is read."""

    def __init__(self, transport: asyncio.Transport, others: "set[_Farewell]") -> None:
        self._others = others
        self._timer = asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, transport.abort)
        others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._timer.cancel()
        self._others.discard(self)


def _close(connection: Connection) -> None:
    connection.transport.close()

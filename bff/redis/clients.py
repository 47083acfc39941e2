"""The open connections to a server, or to all masters of a cluster. After a failure they are of no more use."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Protocol

from redis.crc import key_slot
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import MovedError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as Late

from bff.redis.addresses import Where
from bff.redis.dialer import Dialer
from bff.redis.wire import REPLY_SECONDS, Command, Wire, Word

PING_SECONDS: Final = 0.04
_WIRES: Final = 4  # to each node; a large value holds up no more than those behind it on one
_SLOW_IN_A_ROW: Final = 2 * _WIRES  # so that one moment of a busy loop is not taken for a slow Redis
_BATCH: Final = 32
_SLOTS: Final = 16384

_CANNOT_WRITE: Final = re.compile(r"(^|-)(OOM|READONLY|MISCONF|NOREPLICAS|MASTERDOWN) ")

OnFailure = Callable[[Exception], None]


class Client(Protocol):
    async def ask(self, key: str, *words: Word) -> Any:
        """Return the reply to a command on ``key``. Raises one of ``FAILURES``.

        A caller that goes away takes back what has not been sent, and nothing else.
        """

    async def beat(self) -> None:
        """Use every connection once, so that none is ended for being idle. Raises one of ``FAILURES``.

        Also when Redis has been slow for a while: each request would wait for it again.
        """

    async def close(self) -> None:
        """Let what is under way end, for a second at most."""


async def connect(dialer: Dialer, on_failure: OnFailure) -> Client:
    """Return a client whose connections are open and quick. Raises one of ``FAILURES``.

    ``on_failure`` is told whatever fails on them, but for error replies.
    """
    where = await dialer.where()
    of_cluster = dialer.address.kind == "cluster"
    client = Cluster(dialer, where, on_failure) if of_cluster else Node(dialer, where, on_failure)
    try:
        await client.connect()
    except BaseException:
        await client.close()
        raise
    return client


class Node:
    """Commands wait in a line, from which a wire that is free takes all at once."""

    def __init__(self, dialer: Dialer, where: Where, on_failure: OnFailure) -> None:
        self.where = where
        self._on_failure = on_failure
        self._is_over = False
        self._slow_in_a_row = 0
        self._wires = [Wire(dialer.connection(where, REPLY_SECONDS), self._fail) for _ in range(_WIRES)]
        self._free = deque(self._wires)
        self._line: deque[Command] = deque()
        self._serving: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Open every wire, so that no command waits for one. Raises one of ``FAILURES``."""
        await self.beat()
        started = monotonic()
        await self.ask("", "PING")
        if monotonic() - started > PING_SECONDS:
            raise Late("too far away")

    async def ask(self, key: str, *words: Word) -> Any:  # noqa: ARG002 - it is a cluster that needs the key
        if self._is_over:
            raise Lost("failed before, or closed")
        command = Command(words)
        self._line.append(command)
        if self._free:
            task = asyncio.create_task(self._serve(self._free.popleft()))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        reply = await command.reply
        if _is_of_no_use(reply):
            self._fail(reply)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def beat(self) -> None:
        for _ in self._wires:
            started = monotonic()
            await self.ask("", "PING")
            is_slow = monotonic() - started > PING_SECONDS
            self._slow_in_a_row = self._slow_in_a_row + 1 if is_slow else 0
        if self._slow_in_a_row > _SLOW_IN_A_ROW:
            raise Late("has become slow")

    async def _serve(self, wire: Wire) -> None:
        while batch := self._next():
            await wire.exchange(batch)
        self._free.append(wire)

    def _next(self) -> list[Command]:
        batch: list[Command] = []
        while self._line and len(batch) < _BATCH:
            command = self._line.popleft()
            if not command.reply.done():
                batch.append(command)
        return batch

    def _fail(self, error: Exception) -> None:
        if not self._is_over:
            self._on_failure(error)
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._is_over = True
        for command in self._line:
            command.settle(error)
        self._line.clear()

    async def close(self) -> None:
        self._give_up(Lost("closed"))
        try:
            if self._serving:
                await asyncio.wait(self._serving, timeout=1)
        finally:
            for wire in self._wires:
                await wire.close()


def _is_of_no_use(reply: Any) -> bool:
    """Return whether Redis can be written to no more: full, cut off, or another one is the master now.

    It may still hold copies, but none that can be declared outdated.
    """
    return isinstance(reply, ResponseError) and (
        # Within a script, Redis 6 tells it in the text alone.
        isinstance(reply, ReadOnlyError | OutOfMemoryError) or _CANNOT_WRITE.search(str(reply)) is not None
    )


class Cluster:
    """The masters of a cluster. All have to answer, or the cluster is left alone as a whole.

    A slot that has moved is followed; while it is being moved, some commands are refused. (redis-py's RedisCluster
    waits and retries then, and closes connections that others are reading from.)
    """

    def __init__(self, dialer: Dialer, seed: Where, on_failure: OnFailure) -> None:
        self._dialer = dialer
        self._on_failure = on_failure
        self._seed = seed
        self._nodes: dict[Where, Node] = {}
        self._owners: list[Node] = []

    async def connect(self) -> None:
        """Open every connection to every master. Raises one of ``FAILURES``."""
        owners: dict[int, Node] = {}
        # Each: the first and the last slot, the master (host, port, name), its replicas.
        for first, last, (host, port, *_), *_ in await self._dialer.ask(self._seed, "CLUSTER", "SLOTS"):
            node = self._node((host.decode() if host else self._seed[0], port))
            owners.update(dict.fromkeys(range(first, last + 1), node))
        if len(owners) < _SLOTS:
            raise Lost("some slots are nobody's")
        self._owners = [owners[slot] for slot in range(_SLOTS)]
        for node in self._nodes.values():
            await node.connect()

    def _node(self, where: Where) -> Node:
        if where not in self._nodes:
            self._nodes[where] = Node(self._dialer, where, self._on_failure)
        return self._nodes[where]

    async def ask(self, key: str, *words: Word) -> Any:
        slot = key_slot(key.encode())
        try:
            return await self._owners[slot].ask(key, *words)
        except MovedError as moved:
            self._owners[slot] = self._node((moved.host or self._owners[slot].where[0], moved.port))
            return await self._owners[slot].ask(key, *words)

    async def beat(self) -> None:
        for node in tuple(self._nodes.values()):
            await node.beat()

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()

"""The open connections to a server, or to all masters of a cluster. After a failure they are of no more use."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Protocol

from redis.asyncio.connection import Connection
from redis.crc import key_slot
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import MovedError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as Late

from bff.redis.addresses import Where
from bff.redis.dialer import FAILURES, Dialer

PING_SECONDS: Final = 0.04
_CONNECTIONS: Final = 4  # to each node; a large value holds up no other but those behind it on its own
_BATCH: Final = 32

# How long a reply may take, though nobody waits for it by then: one that comes leaves a connection that is clean.
_REPLY_SECONDS: Final = 0.5
_SLOTS: Final = 16384

Word = str | bytes | int
OnFailure = Callable[[Exception], None]


class Client(Protocol):
    async def ask(self, key: str, *words: Word) -> Any:
        """Return the reply to a command on ``key``. Raises one of ``FAILURES``.

        A caller that goes away takes back what has not been sent, and nothing else.
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


class _Command:
    """``reply`` is the reply or the exception that came in its place; cancelled when nobody waits for it."""

    def __init__(self, words: tuple[Word, ...]) -> None:
        self.words = words
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, reply: Any) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Node:
    """Commands wait in a line, from which a connection that is free takes all at once.

    No caller touches a connection: tasks of their own read the replies, to the last byte, in the commands' order.
    So whoever goes away disturbs nothing, and no reply can come to another one's caller.
    """

    def __init__(self, dialer: Dialer, where: Where, on_failure: OnFailure) -> None:
        self.where = where
        self._elected = dialer.address.kind == "sentinel"
        self._connections = [dialer.connection(where, _REPLY_SECONDS) for _ in range(_CONNECTIONS)]
        self._free = deque(self._connections)
        self._line: deque[_Command] = deque()
        self._serving: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    async def connect(self) -> None:
        """Open every connection, so that no command waits for one. Raises one of ``FAILURES``."""
        for _ in self._connections:
            await self.ask("", "PING")
        started = monotonic()
        await self.ask("", "PING")
        if monotonic() - started > PING_SECONDS:
            raise Late("too far away")

    async def ask(self, key: str, *words: Word) -> Any:  # noqa: ARG002 - it is a cluster that needs the key
        command = _Command(words)
        self._line.append(command)
        if self._free:
            task = asyncio.create_task(self._serve(self._free.popleft()))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        reply = await command.reply
        if isinstance(reply, ReadOnlyError) and self._elected:
            lost = Lost("another one is the master now")
            self._on_failure(lost)
            raise lost
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _serve(self, connection: Connection) -> None:
        try:
            while batch := self._next():
                await _exchange(connection, batch)
        except FAILURES as error:
            self._on_failure(error)
            for command in (*batch, *self._line):
                command.settle(error)
            self._line.clear()
        else:
            self._free.append(connection)

    def _next(self) -> list[_Command]:
        batch: list[_Command] = []
        while self._line and len(batch) < _BATCH:
            command = self._line.popleft()
            if not command.reply.done():
                batch.append(command)
        return batch

    async def close(self) -> None:
        try:
            if self._serving:
                await asyncio.wait(self._serving, timeout=1)
        finally:
            for connection in self._connections:
                await connection.disconnect(nowait=True)


async def _exchange(connection: Connection, batch: list[_Command]) -> None:
    """Raises one of ``FAILURES`` as soon as one reply is not read: there is no telling whose the next would be."""
    if connection.is_connected and await connection.can_read():
        await connection.disconnect(nowait=True)  # the server has ended it, or sent what nobody asked for
    await connection.send_packed_command(connection.pack_commands(command.words for command in batch))
    for command in batch:
        try:
            command.settle(await connection.read_response())
        except ResponseError as error:
            command.settle(error)


class Cluster:
    """The masters of a cluster. All have to answer, or the cluster is left alone as a whole.

    A slot that has moved is followed; while it is being moved, some commands are refused. (redis-py's RedisCluster
    waits and retries then, and closes connections that others are reading from.)
    """

    def __init__(self, dialer: Dialer, seed: Where, on_failure: OnFailure) -> None:
        self._dialer = dialer
        self._on_failure = on_failure
        self._seed = Node(dialer, seed, on_failure)
        self._nodes: dict[Where, Node] = {seed: self._seed}
        self._owners: list[Node] = []

    async def connect(self) -> None:
        """Open every connection to every master. Raises one of ``FAILURES``."""
        owners: dict[int, Node] = {}
        for first, last, (host, port, *_), *_ in await self._seed.ask("", "CLUSTER", "SLOTS"):
            node = self._node((host.decode() if host else self._seed.where[0], port))
            owners.update(dict.fromkeys(range(first, last + 1), node))
        if len(owners) < _SLOTS:
            raise Lost("some slots are nobody's")
        self._owners = [owners[slot] for slot in range(_SLOTS)]
        for node in set(self._owners):
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

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()

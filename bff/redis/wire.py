"""One connection to Redis, which is read from all the time."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from bff.redis.dialer import FAILURES

# How long replies may take, though nobody waits for them by then: if they come, the connection stays usable.
REPLY_SECONDS: Final = 0.5

Word = str | bytes | int


class Command:
    """``reply`` is the reply or the exception in its place; cancelled when nobody waits for it any more."""

    def __init__(self, words: tuple[Word, ...]) -> None:
        self.words = words
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def settle(self, reply: Any) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Wire:
    """One task reads all replies, each to its last byte, in the order of the commands.

    No caller touches the connection. So one that goes away disturbs nothing, and no reply can come to another's
    caller; and that the server is gone is known at once. ``on_failure`` is told: the wire is of no more use then.
    """

    def __init__(self, connection: Connection, on_failure: Callable[[Exception], None]) -> None:
        self._connection = connection
        self._on_failure = on_failure
        self._unanswered: deque[Command] = deque()
        self._answered = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._is_closed = False

    async def exchange(self, commands: Sequence[Command]) -> None:
        """Open the connection unless it is, and send the commands; return when all are settled."""
        self._unanswered.extend(commands)
        self._answered.clear()
        try:
            await self._send(commands)
            async with asyncio.timeout(REPLY_SECONDS):
                await self._answered.wait()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
            self._fail(error)

    async def _send(self, commands: Sequence[Command]) -> None:
        if self._reading is None:
            await self._connection.connect_check_health(check_health=False)
            if self._is_closed:
                await self._connection.disconnect(nowait=True)
                raise Lost("closed")
            self._reading = asyncio.create_task(self._read())
        packed = self._connection.pack_commands(command.words for command in commands)
        await self._connection.send_packed_command(packed, check_health=False)

    async def _read(self) -> None:
        try:
            while True:
                await self._read_one()
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits is told
            self._fail(error)

    async def _read_one(self) -> None:
        try:
            reply = await self._connection.read_response(timeout=math.inf)
        except ResponseError as error:
            reply = error
        if not self._unanswered:
            raise Lost("a reply to nothing")
        self._unanswered.popleft().settle(reply)
        if not self._unanswered:
            self._answered.set()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, FAILURES):  # redis-py stumbles over some replies that no server gives
            error, stumbled = Lost("no reply at all"), error
            error.__cause__ = stumbled
        self._on_failure(error)
        self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        while self._unanswered:
            self._unanswered.popleft().settle(error)
        self._answered.set()

    async def close(self) -> None:
        """Close at once: nothing is waited for, so a cancellation leaves nothing open."""
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()
        await self._connection.disconnect(nowait=True)
        self._give_up(Lost("closed"))

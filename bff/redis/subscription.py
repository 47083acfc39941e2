"""Messages published in Redis, on a connection that is watched, and the moments when some may have been missed."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from bff.redis.dialer import FAILURES, Dialer

_SILENCE_SECONDS: Final = 1.0
_AGAIN_AFTER: Final = (0.1, 0.5)  # seconds, jittered

_log: Final = structlog.get_logger("bff.redis")


class Subscription:
    """``on_gap`` is called after every subscription, the first included: messages may have been missed before.

    ``stands``: none are being missed now.
    """

    def __init__(
        self, dialer: Dialer, channel: str, on_message: Callable[[bytes], None], on_gap: Callable[[], None]
    ) -> None:
        self._dialer = dialer
        self._channel = channel
        self._on_message = on_message
        self._on_gap = on_gap
        self._told_refused = False
        self.stands = False

    async def keep(self) -> None:
        """Listen, again and again, until cancelled."""
        while True:
            try:
                await self._listen()
            except ResponseError as error:
                self._tell_refused(error)
            except FAILURES:
                pass  # the next subscription tells that some may have been missed
            except Exception:  # noqa: BLE001 - a message that nobody can handle has been missed too
                _log.exception("subscription failed unexpectedly")
            await asyncio.sleep(random.uniform(*_AGAIN_AFTER))  # noqa: S311 - jitter protects nothing

    def _tell_refused(self, error: ResponseError) -> None:
        if not self._told_refused:
            self._told_refused = True
            _log.error("redis refuses the subscription", error=type(error).__name__)

    async def _listen(self) -> None:
        connection = self._dialer.connection(await self._dialer.where(), _SILENCE_SECONDS)
        try:
            await connection.send_command("SUBSCRIBE", self._channel)
            await connection.read_response()
            self._told_refused = False
            self._on_gap()
            self.stands = True
            while True:
                self._hear(await self._next(connection))
        finally:
            self.stands = False
            await connection.disconnect(nowait=True)

    async def _next(self, connection: Connection) -> Any:
        """Return what comes next. A connection silent for a second is asked, and lost after another one."""
        reply = await connection.read_response(timeout=_SILENCE_SECONDS)
        if reply is None:
            await connection.send_command("PING")
            reply = await connection.read_response(timeout=_SILENCE_SECONDS)
        if reply is None:
            raise Lost("silent")
        return reply

    def _hear(self, reply: Any) -> None:
        kind, *_, data = reply
        if kind == b"message":
            self._on_message(data)

"""Redis as the rest of the gateway sees it: it answers at once, or it is down and costs nothing."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Literal

import structlog
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as Late

from bff.metrics import Metrics
from bff.redis.addresses import parse
from bff.redis.clients import Client, connect
from bff.redis.dialer import FAILURES, Dialer
from bff.redis.subscription import Subscription
from bff.redis.wire import Word

COMMAND_SECONDS: Final = 0.08
_OPEN_SECONDS: Final = 0.25
_AGAIN_AFTER: Final = (0.5, 1.0)  # seconds, jittered: replicas that lost Redis together come back one by one
_BEAT_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 2.0

# A loop that was held up runs its timers before it reads what has come meanwhile: that much is left to do so.
_READ_SECONDS: Final = 0.02

_log: Final = structlog.get_logger("bff.redis")
_connecting: Final[ContextVar[bool]] = ContextVar("connecting", default=False)

Reason = Literal["down", "timeout", "connection", "refused"]
Hook = Callable[[], Awaitable[None]]


class RedisDown(Exception):
    """Redis is being left alone, did not answer in time, or refused the command."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Script:
    """A Lua script, which Redis knows by its hash once it has seen it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Redis:
    """Any failure closes all connections, among error replies only those that say that nothing can be written.

    New connections are tried in the background. So is whether Redis is still there: it may have been restarted,
    with less in it, while nobody asked.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        """Connect nothing yet. Raises ValueError when the URL cannot be used."""
        self._dialer = Dialer(parse(url))
        self._metrics = metrics
        self._hooks: list[Hook] = []
        self._subscriptions: list[Subscription] = []
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._failed = asyncio.Event()
        self._told_lost = False
        self._background: set[asyncio.Task[None]] = set()

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    @property
    def hears(self) -> bool:
        """Whether messages come that are published."""
        return all(each.stands for each in self._subscriptions)

    def when_up(self, hook: Hook) -> None:
        """Await ``hook`` after every connection, before ``is_up``. It may run commands; RedisDown: still down."""
        self._hooks.append(hook)

    def subscribe(self, channel: str, on_message: Callable[[bytes], None], on_gap: Callable[[], None]) -> None:
        """Have messages handed over once it is open. ``on_gap``: messages may have been missed until now."""
        self._subscriptions.append(Subscription(self._dialer, channel, on_message, on_gap))

    async def open(self) -> None:
        """Begin to connect; return when it is up, or else after a quarter of a second."""
        tasks = (self._keep_connected(), *(each.keep() for each in self._subscriptions))
        self._background = {asyncio.create_task(task) for task in tasks}
        await _within(_OPEN_SECONDS, self._up)

    async def close(self) -> None:
        """End everything in the background; commands under way have a second to end by themselves."""
        while self._background:
            for task in self._background:
                task.cancel()  # more than once, if need be: Python 3.11's wait_for, in redis-py, may swallow it
            _, self._background = await asyncio.wait(self._background, timeout=_CLOSE_SECONDS)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """Return the script's reply: bytes, int, list or None. Raises RedisDown.

        ``keys``: one or more, which share one {hash tag}. A caller that goes away may leave the command to be
        carried out all the same.
        """
        try:
            return await self._run(script, keys, args)
        except RedisDown as down:
            self._metrics.redis_failures.labels(down.reason).inc()
            raise

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
        client = self._client
        if client is None or not (self.is_up or _connecting.get()):
            raise RedisDown("down")
        try:
            async with asyncio.timeout(None) as patience:
                loop = asyncio.get_running_loop()
                last = loop.call_later(
                    COMMAND_SECONDS - _READ_SECONDS, lambda: patience.reschedule(loop.time() + _READ_SECONDS)
                )
                try:
                    return await _evaluate(client, script, keys, args)
                finally:
                    last.cancel()
        except TimeoutError:
            self._lose(Late())
            raise RedisDown("timeout") from None
        except ResponseError:
            raise RedisDown("refused") from None
        except FAILURES as error:
            raise RedisDown(_reason(error)) from None

    def _lose(self, error: Exception) -> None:
        self._failed.set()
        self._go_down(_reason(error), error)

    def _go_down(self, reason: Reason, error: Exception) -> None:
        self._up.clear()
        self._metrics.redis_up.set(0)
        if not self._told_lost:
            self._told_lost = True
            # The names of errors alone: what a server says may repeat what it was sent.
            cause = error.__cause__ or error.__context__ or error
            _log.warning("redis lost", reason=reason, error=type(cause).__name__)

    def _go_up(self) -> None:
        self._up.set()
        self._metrics.redis_up.set(1)
        if self._told_lost:
            self._told_lost = False
            _log.info("redis is back")

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._live()
            except RedisDown as down:
                self._go_down(down.reason, down)
            except FAILURES as error:
                self._go_down(_reason(error), error)
            except Exception:  # noqa: BLE001 - whatever it was, the next attempt may do better
                _log.exception("redis connection failed unexpectedly")
            await asyncio.sleep(random.uniform(*_AGAIN_AFTER))  # noqa: S311 - jitter protects nothing

    async def _live(self) -> None:
        """Connect, and return when the connections have failed. Raises RedisDown or one of ``FAILURES``."""
        self._failed.clear()
        client = self._client = await connect(self._dialer, self._lose)
        try:
            await self._welcome()
            if not self._failed.is_set():
                self._go_up()
            while not self._failed.is_set():
                await client.beat()
                await _within(_BEAT_SECONDS, self._failed)
        finally:
            self._client = None
            self._up.clear()
            await client.close()

    async def _welcome(self) -> None:
        token = _connecting.set(True)
        try:
            for hook in self._hooks:
                await hook()
        finally:
            _connecting.reset(token)


async def _within(seconds: float, event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _reason(error: Exception) -> Reason:
    if isinstance(error, ResponseError):
        return "refused"
    return "timeout" if isinstance(error, Late | TimeoutError) else "connection"


async def _evaluate(client: Client, script: Script, keys: Sequence[str], args: Sequence[Word]) -> Any:
    rest = (len(keys), *keys, *args)
    try:
        return await client.ask(keys[0], "EVALSHA", script.sha, *rest)
    except NoScriptError:
        return await client.ask(keys[0], "EVAL", script.text, *rest)

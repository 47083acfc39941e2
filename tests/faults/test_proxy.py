"""What lies between does to connections what it is told to, whether they are open already or not."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.faults.proxy import Fault, Proxy, proxy
from tests.faults.rig import until

MUCH = bytes(range(256)) * 4096
WHILE = 0.1


class Ends(asyncio.Protocol):
    """One end of a connection: what came, in the pieces in which it did. ``says`` is what it answers to each."""

    transport: asyncio.Transport

    def __init__(self, says: Callable[[bytes], bytes] = lambda _: b"") -> None:
        self.pieces: list[bytes] = []
        self.has_ended = False
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._says = says

    @property
    def came(self) -> bytes:
        return b"".join(self.pieces)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        self.transport.write(self._says(data))

    def eof_received(self) -> None:
        self.has_ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Between:
    """A proxy before what echoes; ``there`` are that one's ends of the connections."""

    def __init__(self, between: Proxy, there: list[Ends]) -> None:
        self.proxy = between
        self.there = there
        self._here: list[Ends] = []

    async def connected(self) -> Ends:
        """Return an end that has been heard there, and has heard its echo."""
        end = await self.connect()
        end.transport.write(b"hello")
        await until(lambda: end.came == b"hello")
        end.pieces.clear()
        return end

    async def connect(self) -> Ends:
        _, end = await asyncio.get_running_loop().create_connection(Ends, "127.0.0.1", self.proxy.port)
        self._here.append(end)
        return end

    def close(self) -> None:
        for end in (*self._here, *self.there):
            end.transport.abort()


@pytest.fixture
async def between() -> AsyncIterator[Between]:
    async with echoing() as (port, there), proxy(port) as made:
        opened = Between(made, there)
        yield opened
        opened.close()


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[int, list[Ends]]]:
    ends: list[Ends] = []

    def make() -> Ends:
        ends.append(Ends(bytes))
        return ends[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], ends


async def test_without_a_fault_all_arrives_there_and_back(between: Between) -> None:
    end = await between.connected()
    end.transport.write(MUCH)
    await until(lambda: len(end.came) == len(MUCH))
    assert end.came == MUCH


async def test_whoever_ends_a_connection_ends_it_for_both(between: Between) -> None:
    one, other = await between.connected(), await between.connected()
    one.transport.close()
    assert await between.there[0].lost is None
    between.there[1].transport.write(b"goodbye")
    between.there[1].transport.close()
    assert await other.lost is None
    assert other.came == b"goodbye"


async def test_latency_is_that_of_each_way_and_not_of_each_piece(between: Between) -> None:
    end = await between.connected()
    await between.proxy.misbehave("latency", seconds=WHILE)
    started = time.monotonic()
    for number in range(20):
        end.transport.write(b"%02d" % number)
        await asyncio.sleep(0.001)
    await until(lambda: len(end.came) == 40)
    assert 2 * WHILE < time.monotonic() - started < 20 * WHILE
    assert end.came == b"".join(b"%02d" % number for number in range(20))


async def test_jitter_keeps_the_order_and_is_the_same_each_time(between: Between) -> None:
    end = await between.connected()
    await between.proxy.misbehave("jitter", seconds=0.02)
    for number in range(20):
        end.transport.write(b"%02d" % number)
        await asyncio.sleep(0)
    await until(lambda: len(end.came) == 40)
    assert end.came == b"".join(b"%02d" % number for number in range(20))

    delays = []
    for _ in range(2):
        async with proxy(1, seed=7) as made:
            await made.misbehave("jitter", seconds=1)
            delays.append([made.spell.delay() for _ in range(10)])
    assert delays[0] == delays[1]
    assert 0 <= min(delays[0]) < max(delays[0]) <= 1


async def test_bandwidth_is_so_many_bytes_a_second_until_it_is_over(between: Between) -> None:
    end = await between.connected()
    await between.proxy.misbehave("bandwidth", rate=1000)
    started = time.monotonic()
    end.transport.write(b"x" * 200)
    await until(lambda: len(end.came) == 200)
    assert time.monotonic() - started >= 0.1

    await between.proxy.misbehave("bandwidth", rate=1)
    end.transport.write(b"y" * 1000)
    await until(lambda: between.there[0].came.endswith(b"y"))
    await between.proxy.misbehave(None)
    await until(lambda: len(end.came) == 1200)


@pytest.mark.parametrize("size", [1, 7])
async def test_slices_go_by_themselves(size: int, between: Between) -> None:
    end = await between.connected()
    await between.proxy.misbehave("slices", size=size)
    end.transport.write(MUCH[:500])
    await until(lambda: len(end.came) == 500)
    assert end.came == MUCH[:500]
    assert len(end.pieces) > 500 / size / 2  # some meet again on their way


async def test_what_hangs_arrives_when_it_is_over(between: Between) -> None:
    old = await between.connected()
    await between.proxy.misbehave("hang")
    new = await between.connect()
    for end in (old, new):
        end.transport.write(b"still there?")
    await asyncio.sleep(WHILE)
    assert not old.came + new.came
    await between.proxy.misbehave(None)
    await until(lambda: old.came == new.came == b"still there?")


async def test_who_has_vanished_says_nothing_for_good_and_is_back_for_others(between: Between) -> None:
    old = await between.connected()
    await between.proxy.misbehave("half_open")
    new = await between.connect()
    await until(lambda: len(between.there) == 2)
    for end in (old, new):
        end.transport.write(b"still there?")
    between.there[0].transport.write(b"I am")
    between.there[0].transport.close()
    await between.proxy.misbehave(None)
    for end in (old, new):
        end.transport.write(b"and now?")
    await between.connected()

    for end in (old, new):
        assert not end.came
        assert not end.has_ended
        assert not end.lost.done()
    assert between.there[0].came == b"hello"


@pytest.mark.parametrize("after", [0, 1, 20])
async def test_an_answer_is_cut_after_so_many_bytes(after: int, between: Between) -> None:
    old = await between.connected()
    await between.proxy.misbehave("truncation", after=after)
    new = await between.connect()
    for end in (old, new):
        end.transport.write(MUCH[:100])
        await end.lost
        assert end.came == MUCH[:after]
        assert end.has_ended
    await asyncio.gather(*(end.lost for end in between.there))


@pytest.mark.parametrize("fault", ["reset", "refuse"])
async def test_open_connections_are_reset(fault: Fault, between: Between) -> None:
    end = await between.connected()
    await between.proxy.misbehave(fault)
    assert isinstance(await end.lost, ConnectionResetError)
    assert isinstance(await between.there[0].lost, ConnectionResetError)


async def test_new_connections_are_reset(between: Between) -> None:
    await between.proxy.misbehave("reset")
    with suppress(ConnectionResetError):  # by its own words, or as soon as it is made
        assert isinstance(await (await between.connect()).lost, ConnectionResetError)
    await between.proxy.misbehave(None)
    await between.connected()


async def test_new_connections_are_refused(between: Between) -> None:
    port = between.proxy.port
    await between.proxy.misbehave("refuse")
    with pytest.raises(ConnectionRefusedError):
        await between.connect()
    await between.proxy.misbehave(None)
    assert between.proxy.port == port
    await between.connected()


async def test_nobody_there_is_a_reset() -> None:
    async with echoing() as (port, _):
        pass
    async with proxy(port) as made:
        between = Between(made, [])
        with suppress(ConnectionResetError):
            assert isinstance(await (await between.connect()).lost, ConnectionResetError)

"""For how long a connection may be idle, slow or deaf, to the second."""

import asyncio

import pytest

from bff.edge.connections import Connections
from bff.metrics import Metrics


class Transport:
    def __init__(self):
        self.ended = None
        self.closing = False

    def close(self):
        self.closing = True
        self.ended = self.ended or ("closed", asyncio.get_running_loop().time())

    def abort(self):
        self.closing = True
        self.ended = ("aborted", asyncio.get_running_loop().time())

    def is_closing(self):
        return self.closing


class Connection:
    is_busy = False
    the_last = False

    def __init__(self):
        self.transport = Transport()

    def be_the_last(self):
        self.the_last = True

    @property
    def ended(self):
        return self.transport.ended


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def connections(metrics):
    return Connections(3, metrics)


def now():
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("waits_for", "seconds", "how", "reason"),
    [
        ("heads", 10, "closed", "slow_head"),
        ("idle", 75, "closed", None),
        ("writes", 30, "aborted", "slow_reader"),
    ],
)
async def test_who_waits_too_long_is_ended(connections, metrics, waits_for, seconds, how, reason):
    started = now()
    waiting = getattr(connections, waits_for)
    first, second, patient = Connection(), Connection(), Connection()
    waiting.begin(first)
    await asyncio.sleep(1)
    waiting.begin(second)
    waiting.begin(patient)
    await asyncio.sleep(seconds - 1.5)
    assert (first.ended, second.ended) == (None, None)
    waiting.begin(patient)  # anew
    await asyncio.sleep(1)
    assert (first.ended, second.ended) == ((how, started + seconds), None)
    await asyncio.sleep(1)
    assert second.ended == (how, started + seconds + 1)
    waiting.end(patient)
    await asyncio.sleep(200)
    assert patient.ended is None
    dropped = {each.labels["reason"]: each.value for each in _samples(metrics)}
    assert dropped == ({reason: 2} if reason else {})


async def test_a_new_connection_has_ten_seconds_for_its_first_head(connections):
    connection = Connection()
    assert connections.admit(connection)
    await asyncio.sleep(9.9)
    assert connection.ended is None
    await asyncio.sleep(0.1)
    assert connection.ended is not None


async def test_one_that_is_closing_has_five_seconds_at_least_and_ten_at_most(connections, metrics):
    early, late = Connection(), Connection()
    for each in (early, late):
        connections.admit(each)
        connections.heads.end(each)
    started = now()
    await asyncio.sleep(0.1)
    early.transport.close()
    await asyncio.sleep(4.8)
    late.transport.close()
    await asyncio.sleep(5)
    assert [each.ended[0] for each in (early, late)] == ["closed", "closed"]
    await asyncio.sleep(1)
    assert early.ended == late.ended == ("aborted", started + 10)
    assert [(each.labels, each.value) for each in _samples(metrics)] == [({"reason": "lingering"}, 2)]


async def test_one_that_ends_in_time_is_not_ended_twice(connections, metrics):
    connection = Connection()
    connections.admit(connection)
    connection.transport.close()
    connections.leave(connection)
    await asyncio.sleep(100)
    assert connection.ended[0] == "closed"
    assert _samples(metrics) == []
    assert len(connections) == 0


async def test_there_are_never_more_than_the_limit(connections):
    busy = [Connection() for _ in range(2)]
    for each in busy:
        connections.admit(each)
        connections.heads.end(each)
        each.is_busy = True
    for _ in range(10):
        assert connections.admit(Connection())
        assert len(connections) == 3
    assert [each.ended for each in busy] == [None, None]


async def test_draining_makes_the_responses_in_progress_the_last(connections):
    connection = Connection()
    connections.admit(connection)
    connections.drain()
    assert connections.draining
    assert connection.the_last


def _samples(metrics):
    (family,) = metrics.dropped_connections.collect()
    return [each for each in family.samples if each.name.endswith("_total")]

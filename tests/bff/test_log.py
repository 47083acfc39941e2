"""Log lines: together when they can wait, at once when they cannot, and never lost."""

import asyncio
import atexit
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bff import log
from bff.log import Lines


class Stderr:
    """Standard error that is no terminal; ``written`` has what each write wrote."""

    def __init__(self):
        self.written = []
        self.flushed = 0
        self.buffer = SimpleNamespace(write=self.written.append, flush=self._flush)

    def _flush(self):
        self.flushed = len(self.written)


@pytest.fixture
def stderr(monkeypatch):
    stderr = Stderr()
    monkeypatch.setattr(log, "sys", SimpleNamespace(stderr=stderr))  # pytest has the real one change hands
    return stderr


@pytest.fixture
def at_exit(monkeypatch):
    called = []
    monkeypatch.setattr(atexit, "register", called.append)
    return called


@pytest.fixture
def lines(at_exit, stderr):
    return Lines()


async def test_the_lines_of_a_moment_are_one_write(lines, stderr):
    for number in range(100):
        (lines.info if number % 2 else lines.debug)(b"%d" % number)
        await asyncio.sleep(0)
    await asyncio.sleep(0.049)
    assert stderr.written == []
    await asyncio.sleep(0.002)
    assert stderr.written == [b"".join(b"%d\n" % number for number in range(100))]
    assert stderr.flushed == 1


async def test_the_next_moment_is_the_next_write(lines, stderr):
    for line in (b"one", b"two"):
        lines.info(line)
        await asyncio.sleep(0.06)
    assert stderr.written == [b"one\n", b"two\n"]
    await asyncio.sleep(1)
    assert len(stderr.written) == 2


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
async def test_what_matters_goes_at_once_and_in_order(lines, stderr, level):
    lines.info(b"one")
    getattr(lines, level)(b"two")
    assert stderr.written == [b"one\ntwo\n"]
    assert stderr.flushed == 1
    lines.info(b"three")
    await asyncio.sleep(0.06)
    assert stderr.written == [b"one\ntwo\n", b"three\n"]


def test_without_a_loop_a_line_goes_at_once(lines, stderr):
    lines.info(b"one")
    lines.debug(b"two")
    assert stderr.written == [b"one\n", b"two\n"]


async def test_what_waits_is_written_at_the_exit(lines, stderr, at_exit):
    lines.info(b"last")
    assert at_exit == [lines.flush]
    at_exit[0]()
    assert stderr.written == [b"last\n"]
    await asyncio.sleep(0.06)
    assert len(stderr.written) == 1


PROCESS = """
import asyncio, structlog
from bff import log
log.configure("info")
async def main():
    line = structlog.get_logger("bff.request")
    line.debug("not asked for")
    line.info("request", status=200, operation=None, odd={1, })
    line.info("request", name="\\u00e9\\n")
    try:
        1 / 0
    except ZeroDivisionError:
        line.exception("unexpected")
    line.info("last")
asyncio.run(main())
"""


def test_a_process_that_ends_early_has_logged_everything():
    process = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, timeout=30, check=True)
    written = [json.loads(line) for line in process.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in written] == [
        ("request", "info"),
        ("request", "info"),
        ("unexpected", "error"),
        ("last", "info"),
    ]
    assert {name: written[0][name] for name in ("status", "operation", "odd")} == {
        "status": 200,
        "operation": None,
        "odd": [1],
    }
    assert written[1]["name"] == "\u00e9\n"
    assert "ZeroDivisionError" in written[2]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in written)
    assert process.stdout == b""

"""``bff`` commands in forks of one process that has imported them: they start ten times as fast as new ones.

``python -m tests.forks`` is that process. It runs the command itself, what it prints goes to files.
"""

import gc
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import uvloop  # noqa: F401 - what a child needs, imported once

import bff.check
import bff.serve  # noqa: F401
from bff import cli
from bff.app import Gateway
from bff.configuration import validate


class Forks:
    """Starts commands and waits for their end, one at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    @contextmanager
    def open(cls) -> Iterator["Forks"]:
        command = [sys.executable, "-m", "tests.forks"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield cls(process)
            assert process.stdin is not None
            process.stdin.close()

    def start(
        self, arguments: Sequence[str], folder: Path, output: Path, errors: Path, env: Mapping[str, str]
    ) -> int:
        """Return the id of the process that carries out the command, in ``folder`` and with no other ``env``."""
        return self._ask(
            arguments=arguments, folder=str(folder), output=str(output), errors=str(errors), env=dict(env)
        )

    def end(self, pid: int) -> None:
        """Kill the process; return when it is gone."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def wait(self, pid: int) -> int:
        """Return the exit status of the process when it has one."""
        return self._ask(wait=pid)

    def _ask(self, **what: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _main() -> None:
    """Do as each line of the input says until it ends: fork, or wait for a child; print its id or its status."""
    _warm_up()
    gc.collect()
    gc.freeze()  # what is not collected is not copied
    for line in sys.stdin:
        told = json.loads(line)
        if "wait" in told:
            _, status = os.waitpid(told["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            _carry_out(**told)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _warm_up() -> None:
    """Do once what is worked out the first time alone: the command line, the configuration, the routes."""
    with redirect_stdout(io.StringIO()):
        cli.app(["plans", "--config", os.devnull], standalone_mode=False)
    Gateway(validate({}))


def _carry_out(arguments: list[str], folder: str, output: str, errors: str, env: dict[str, str]) -> None:
    for number, file, mode in ((0, os.devnull, "rb"), (1, output, "wb"), (2, errors, "wb")):
        with Path(file).open(mode) as opened:
            os.dup2(opened.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["bff", *arguments]
    cli.main()


if __name__ == "__main__":
    _main()

"""``python -m tests.contract.launch``: forks a ``bff serve`` for each line [configuration, output, errors]."""

import gc
import json
import os
import signal
import sys
from pathlib import Path

import bff.serve  # noqa: F401 - what every child needs, imported once
from bff import cli


def _serve(config: str, output: str, errors: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in ((1, output), (2, errors)):
        with Path(file).open("wb") as opened:
            os.dup2(opened.fileno(), number)
    cli.app(["serve", "--config", config])


def main() -> None:
    """Fork until the input ends; print each child's id."""
    gc.freeze()  # what is not collected is not copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in sys.stdin:
        files = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _serve(*files)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

"""Structured logs on standard error: JSON lines, or readable ones on a terminal."""

import asyncio
import atexit
import logging
import sys
from typing import Any, Final

import msgspec
import structlog
from structlog.typing import Processor

_BATCH_SECONDS: Final = 0.05


class Lines:
    """Standard error, to which the lines of a moment go in one piece; those from warnings up go at once.

    A system call for each line would cost several times what the line does.
    """

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        atexit.register(self.flush)

    def debug(self, line: bytes) -> None:
        self._waiting.append(line)
        if len(self._waiting) > 1:
            return  # what flushes the first will flush this
        try:
            asyncio.get_running_loop().call_later(_BATCH_SECONDS, self.flush)
        except RuntimeError:
            self.flush()

    info = debug

    def error(self, line: bytes) -> None:
        self._waiting.append(line)
        self.flush()

    warning = critical = error

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            sys.stderr.buffer.write(b"\n".join([*waiting, b""]))
            sys.stderr.buffer.flush()


_LINES: Final = Lines()
flush = _LINES.flush


def configure(level: str) -> None:
    """Send our own log lines, and those of the libraries from warnings up, to standard error."""
    terminal = sys.stderr.isatty()
    renderer: Processor = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(_json)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr) if terminal else lambda *_: _LINES,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    final = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, final],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _json(line: dict[str, Any], **_: object) -> bytes:
    return msgspec.json.encode(line, enc_hook=repr)

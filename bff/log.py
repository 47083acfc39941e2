"""Structured logs on standard error: JSON lines, or readable ones on a terminal."""

import logging
import sys
from typing import Any

import msgspec
import structlog
from structlog.typing import Processor


def configure(level: str) -> None:
    """Send our own log lines, and those of the libraries from warnings up, to standard error."""
    terminal = sys.stderr.isatty()
    renderer: Processor = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(_json)
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    stream = sys.stderr
    lines = structlog.WriteLoggerFactory(stream) if terminal else structlog.BytesLoggerFactory(stream.buffer)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lines,
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

"""The caller's W3C trace context, carried from the request to every upstream call made for it."""

from contextvars import ContextVar

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)

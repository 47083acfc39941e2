"""Every way in which an HTTP upstream may fail, and the reason that the gateway has for each."""

from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from demo.asgi import HTML_TYPE, Answer, json_answer, whole_body
from demo.faults import Faults

# What a promise of 50 ms may take on a machine that does other things too.
SLACK: Final = 0.25


def page(status: int) -> ASGIApp:
    """Return the page of a proxy whose service is not there."""
    text = f"<h1>{status} {HTTPStatus(status).phrase}</h1><p>It works</p>"
    return _heard_out(Answer(status, HTML_TYPE, text.encode()))


def brief(status: int) -> ASGIApp:
    """Return an error that does not ask to be left alone for a while, as the pretend platform's would."""
    return _heard_out(json_answer({"error": "It works"}, status))


def _heard_out(answer: Answer) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await whole_body(receive)
        await answer(scope, receive, send)

    return app


FAULTS: Final[dict[str, tuple[Faults | ASGIApp, str]]] = {
    "hang": (Faults(hang=True), "timeout"),
    "slow": (Faults(slow=True), "timeout"),
    "latency": (Faults(latency=60), "timeout"),
    "reset": (Faults(reset=True), "reset"),
    "refuse": (Faults(refuse=True), "refused"),
    "truncated": (Faults(truncated=True), "reset"),
    "huge": (Faults(huge=True), "too_large"),
    "gzip_bomb": (Faults(gzip_bomb=True), "malformed"),
    "html": (Faults(html=True), "malformed"),
    "malformed": (Faults(malformed=True), "malformed"),
    "nan": (Faults(nan=True), "malformed"),
    "deep": (Faults(deep=True), "malformed"),
    "wrong_types": (Faults(wrong_types=True), "malformed"),
    "nulls": (Faults(nulls=True), "malformed"),
    "redirect": (Faults(redirect=True), "status"),
    "500": (Faults(status=500), "status"),
    "404": (Faults(status=404), "status"),
    "401": (Faults(status=401), "status"),
    "429": (brief(429), "rate_limited"),
    "503": (brief(503), "status"),
}

PAGES: Final = {f"{status} page": (page(status), "status") for status in (404, 502, 503, 504)}
ALL: Final[dict[str, tuple[Faults | ASGIApp, str]]] = {
    **FAULTS,
    "502": (Faults(status=502), "status"),
    "504": (Faults(status=504), "status"),
    **PAGES,
}

# Those of which nothing but the time tells.
LATE: Final = frozenset(name for name, (_, reason) in ALL.items() if reason == "timeout")

# Those after which something may have been done all the same: nobody who would know said no.
UNKNOWN: Final = frozenset(
    {"hang", "slow", "latency", "reset", "truncated", "huge", "gzip_bomb", "html", "malformed"}
    | {"nan", "deep", "wrong_types", "nulls", "502 page", "504 page"}
)

# Words of the faults, none of which may reach a caller.
ECHOES: Final = (b"It works", b"169.254", b"xxxx", b"not a list", b"neither", b"12345", b"Internal Server Error")


def echoes(content: bytes) -> list[bytes]:
    """Return what of an upstream's own words is in ``content``."""
    return [echo for echo in ECHOES if echo in content]

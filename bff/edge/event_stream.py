"""An answer as it comes: server-sent events (WHATWG HTML, 9.2), the finished answer as the last of them."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.types import Receive, Send

from bff.edge.exchange import Answer
from bff.edge.headers import NO_STORE, Headers
from bff.edge.interrupted import PERHAPS_DONE
from bff.plans.action import Tell

_END_SECONDS: Final = 5.0
_HEADERS: Final[Headers] = [(b"content-type", b"text/event-stream; charset=utf-8"), NO_STORE]


class EventStream:
    """Sends ``headers`` and ``token`` events, then ``done`` or ``error`` with the body of the whole answer."""

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = [*_HEADERS, *headers]
        self._begun = False

    @property
    def begun(self) -> bool:
        return self._begun

    async def token(self, text: str) -> None:
        await self._event("token", msgspec.json.encode({"text": text}), more=True)

    async def end(self, answer: Answer) -> None:
        await self._event("done" if answer.status < 400 else "error", answer.body, more=False)

    async def _event(self, kind: str, data: bytes, *, more: bool) -> None:
        if not self._begun:
            self._begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        event = b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
        await self._send({"type": "http.response.body", "body": event, "more_body": more})


async def while_connected(
    receive: Receive,
    send: Send,
    work: Callable[[Tell], Awaitable[Answer]],
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer | None:
    """Do ``work``, sending what it tells as events after ``headers``; return its answer if it is still to be sent.

    An answer before the first event goes out as any other does, with its own status. When the caller leaves, the
    work is cancelled; when the server ends and cancels this, the last event says so.
    """
    events = EventStream(send, headers)
    working = asyncio.ensure_future(work(events.token))
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return None
        answer = working.result()
    except asyncio.CancelledError:
        if not events.begun:
            raise
        answer = PERHAPS_DONE
    finally:
        await _cancelled(working, leaving)
    if not events.begun and answer.status >= 400:
        return answer
    with contextlib.suppress(TimeoutError):  # whoever reads so slowly does without the end
        async with asyncio.timeout(_END_SECONDS):
            await events.end(answer)
    return None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

"""What upstreams answer: real exchanges, and a transport that plays answers in their order."""

import asyncio
from pathlib import Path

import httpx

CAPTURES = Path(__file__).parents[1] / "captures"


def captured(name):
    """Return the answer of a captured exchange, as it came: status, headers, body."""
    _, _, answer = (CAPTURES / f"{name}.http").read_bytes().partition(b"\nHTTP/1.1 ")
    head, _, body = answer.partition(b"\n\n")
    status, *fields = head.decode().splitlines()
    return httpx.Response(int(status.split()[0]), headers=[field.split(": ", 1) for field in fields], content=body)


def json_answer(body, status=200, **headers):
    return httpx.Response(status, json=body, headers=headers)


class Never(httpx.AsyncByteStream):
    """A body of which nothing ever comes."""

    async def __aiter__(self):
        await asyncio.get_running_loop().create_future()
        yield b""


class Upstream(httpx.AsyncBaseTransport):
    """Plays ``answers`` in their order; one that is an exception is raised, ``None`` never comes.

    Whoever asks more often than there are answers fails the test.
    """

    def __init__(self, *answers):
        self._answers = list(answers)
        self.requests = []

    async def handle_async_request(self, request):
        self.requests.append(request)
        answer = self._answers.pop(0)
        if answer is None:
            await asyncio.get_running_loop().create_future()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def paths(self):
        return [request.url.path for request in self.requests]

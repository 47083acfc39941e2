"""Request bodies: what is read, and what is refused."""

import asyncio

import pytest

from bff.edge.body import BODY_SECONDS, MAX_DEPTH, MAX_VALUES, ClientLeft, read_json
from bff.plans import Refused

LIMIT = 1024


def coming(*pieces):
    """Return a receive that gives the pieces; an exception is what the client does instead."""
    messages = [
        {"type": "http.disconnect"}
        if piece is ClientLeft
        else {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive():
        if not messages:
            await asyncio.sleep(3600)
        return messages.pop(0)

    return receive


async def read(*pieces, **headers):
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return await read_json(given, coming(*pieces), LIMIT)


@pytest.mark.parametrize(
    ("pieces", "value"),
    [
        ([b"{}"], {}),
        ([b'{"name": "My ', b'Agent"}'], {"name": "My Agent"}),
        ([b"", b"[1, 2]"], [1, 2]),
        ([b'"' + b"x" * (LIMIT - 2) + b'"'], "x" * (LIMIT - 2)),
        ([rb'["C:\\u0000"]'], ["C:\\u0000"]),
        (['{"ü": "\\ud83d\\ude00"}'.encode()], {"ü": "😀"}),
    ],
)
async def test_json(pieces, value):
    assert await read(*pieces) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{bad", b"{} {}", b"NaN", b'{"a": Infinity}', b"\xff", b'"\xc3"', b'"\\ud800"', b"[" * 50_000, b"a=1"],
)
async def test_what_is_no_json(body):
    with pytest.raises(Refused) as caught:
        await read_json({}, coming(body), 1_000_000)
    assert (caught.value.status, caught.value.error) == (400, "Invalid JSON")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"a": "x\\u0000y"}', "Request body must not contain the character NUL"),
        ('{"a\\u0000": 1}', "Request body must not contain the character NUL"),
        ('[[{"a": ["\\u0000"]}]]', "Request body must not contain the character NUL"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "Request body must not be nested deeper than 32 levels"),
        ('{"a":' * 40 + "1" + "}" * 40, "Request body must not be nested deeper than 32 levels"),
    ],
)
async def test_json_that_is_not_taken(body, error):
    with pytest.raises(Refused) as caught:
        await read(body.encode())
    assert (caught.value.status, caught.value.error) == (400, error)


async def test_too_many_values():
    with pytest.raises(Refused) as caught:
        await read_json({}, coming(b"[" + b"0," * MAX_VALUES + b"0]"), 1_000_000)
    assert (caught.value.status, caught.value.error) == (400, "Request body must not hold more than 50000 values")


async def test_json_may_be_as_deep_as_that():
    await read(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize(
    ("pieces", "headers"),
    [
        ([b"x" * (LIMIT + 1)], {}),
        ([b"x" * LIMIT, b"x"], {}),
        ([b"x", b"x" * LIMIT, b"x"], {"content_length": str(LIMIT + 2)}),
        ([b"x" * LIMIT] * 5, {}),
        ([], {"content_length": str(5 * LIMIT)}),
        ([], {"content_length": "9" * 4000}),
    ],
)
async def test_too_large(pieces, headers):
    with pytest.raises(Refused) as caught:
        await read(*pieces, **headers)
    assert (caught.value.status, caught.value.error) == (413, "Request body must be at most 1024 bytes")
    assert (b"connection", b"close") in caught.value.headers


async def test_too_slow():
    started = asyncio.get_running_loop().time()
    with pytest.raises(Refused) as caught:
        await read_json({}, coming_never, LIMIT)
    assert (caught.value.status, caught.value.error) == (408, "Request timeout")
    assert asyncio.get_running_loop().time() - started == BODY_SECONDS


async def coming_never():
    await asyncio.sleep(3600)


async def test_a_client_that_left():
    with pytest.raises(ClientLeft):
        await read(b"{", ClientLeft)

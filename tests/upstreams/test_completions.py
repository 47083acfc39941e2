"""Reading a streamed completion: the same text, however the network cuts it."""

import json

import pytest

from upstreams.completions import MAX_REPLY_BYTES, StreamedReply
from upstreams.failure import Reason, UpstreamFailure

DONE = b"data: [DONE]\n\n"


def event(content=None, **more):
    delta = {} if content is None else {"content": content}
    return (
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": delta}]} | more, ensure_ascii=False).encode()
        + b"\n\n"
    )


async def read(*received):
    """Return the whole text and its pieces, after what was ``received`` in these portions."""
    pieces = []

    async def tell(piece):
        pieces.append(piece)

    reply = StreamedReply("gateway", tell)
    for portion in received:
        if await reply.feed(portion):
            break
    return await reply.finish(), pieces


async def reason_of(*received):
    with pytest.raises(UpstreamFailure) as caught:
        await read(*received)
    assert caught.value.upstream == "gateway"
    assert (caught.value.status, caught.value.unsafe) == (200, True)
    return caught.value.reason


HELLO = event("Grüß ") + event("dich, ") + event("😀") + DONE
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"total_tokens":7}}\n\n'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 10_000])
async def test_wherever_it_is_cut(size):
    portions = [HELLO[i : i + size] for i in range(0, len(HELLO), size)]
    assert await read(*portions) == ("Grüß dich, 😀", ["Grüß ", "dich, ", "😀"])


@pytest.mark.parametrize(
    ("received", "pieces"),
    [
        pytest.param(ROLE + event("hi") + END + USAGE + DONE, ["hi"], id="what says nothing tells nothing"),
        pytest.param(event("hi").replace(b"\n", b"\r\n") + b"data: [DONE]\r\n\r\n", ["hi"], id="CRLF"),
        pytest.param(event("hi").replace(b"data: ", b"data:") + b"data:[DONE]\n\n", ["hi"], id="no space"),
        pytest.param(event("hi") + b"data: [DONE]", ["hi"], id="no end of the last line"),
        pytest.param(
            b": ping\n\nevent: x\nid: 7\n" + event("hi") + b"retry: 1\n\n" + DONE, ["hi"], id="other fields"
        ),
        pytest.param(event("hi") + DONE + event("more") + b"data: garbage\n\n", ["hi"], id="after the end"),
        pytest.param(event("") + event(None) + DONE, [], id="an empty reply"),
        pytest.param(event("a\nb\r\n") + DONE, ["a\nb\r\n"], id="line ends within the text"),
        pytest.param(event("hi", error=None) + DONE, ["hi"], id="no error"),
        pytest.param(event("hi").replace(b'"hi"', b'"\\ud83d\\ude00"') + DONE, ["😀"], id="escaped"),
    ],
)
async def test_an_event_stream(received, pieces):
    assert await read(received) == ("".join(pieces), pieces)


async def test_nothing_is_read_after_the_end():
    assert await read(HELLO, b"data: garbage\n\n") == await read(HELLO + b"x" * 2 * MAX_REPLY_BYTES)


@pytest.mark.parametrize("size", [1, 10_000])
async def test_a_plain_answer_is_one_piece(size):
    body = json.dumps({"choices": [{"message": {"content": "data: hi\nthere"}}]}, indent=2).encode() + b"\n"
    portions = [body[i : i + size] for i in range(0, len(body), size)]
    assert await read(*portions) == ("data: hi\nthere", ["data: hi\nthere"])


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<!doctype html>\n<html>\n", id="a page"),
        pytest.param(event("hi"), id="no end"),
        pytest.param(event("hi") + b"data: [DO", id="cut off within the end"),
        pytest.param(event("hi") + b'data: {"choi', id="cut off within an event"),
        pytest.param(b"data: hello\n\n" + DONE, id="no JSON"),
        pytest.param(b"data: []\n\n" + DONE, id="no object"),
        pytest.param(b"data: " + b"[" * 10_000 + b"\n\n" + DONE, id="nested too deep"),
        pytest.param(b'data: {"choices": null}\n\n' + DONE, id="null choices"),
        pytest.param(b'data: {"choices": [{"delta": {"content": 1}}]}\n\n' + DONE, id="a number for the text"),
        pytest.param(b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n' + DONE, id="not UTF-8"),
        pytest.param(b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n' + DONE, id="half a character"),
        pytest.param(b'{"choices": []}', id="a plain answer without a choice"),
        pytest.param(b'{"choices": [{"message": {"content": "hi"', id="a plain answer cut off"),
        pytest.param(b'{"error": {"message": "no"}}', id="a plain error"),
    ],
)
async def test_anything_else_is_malformed(received):
    assert await reason_of(received) is Reason.MALFORMED


async def test_an_error_within_the_stream_fails_it():
    told = b'data: {"error": {"message": "upstream provider error", "type": "api_error"}}\n\n'
    assert await reason_of(event("hi"), told + DONE) is Reason.STATUS


MEBIBYTE = b"x" * MAX_REPLY_BYTES


@pytest.mark.parametrize(
    "received",
    [
        pytest.param([b"data: ", MEBIBYTE], id="a line without end"),
        pytest.param([b"{", MEBIBYTE], id="a plain answer without end"),
        pytest.param([event("x" * 500_000)] * 3, id="a text without end"),
        pytest.param([b"\n" * 40_000] * 2, id="lines without end"),
    ],
)
async def test_more_than_a_reply_can_be_is_too_large(received):
    assert await reason_of(*received, DONE) is Reason.TOO_LARGE


async def test_a_long_line_in_small_portions_costs_no_more_than_its_length():
    portions = [b'data: {"choices":[{"delta":{"content":"', *[b"x" * 8] * 120_000, b'"}}]}\n\n', DONE]
    text, _ = await read(*portions)
    assert len(text) == 960_000

"""One HTTP call: every way in which it can go wrong has a reason, and nothing else comes out."""

import asyncio
import socket
import ssl

import httpx
import msgspec
import pytest

from tests.upstreams.answers import Never, Upstream
from tests.upstreams.pipe.calls import Body, call
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import MAX_BODY_BYTES
from upstreams.pipe.fetch import Fetch


class Answer(msgspec.Struct):
    n: int
    names: tuple[str, ...] = ()
    rate: float = 0.0


TYPED = msgspec.json.Decoder(Answer)


async def fetch(answer, *, attempt_timeout=1.5, decoder=TYPED, **options):
    upstream = answer if isinstance(answer, httpx.AsyncBaseTransport) else Upstream(answer)
    return await Fetch("up", upstream, attempt_timeout=attempt_timeout)(call(decoder=decoder, **options))


async def failure_of(answer, **options):
    with pytest.raises(UpstreamFailure) as caught:
        await fetch(answer, **options)
    assert caught.value.upstream == "up"
    return caught.value


def caused(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ConnectError("no"), Reason.REFUSED),
        (caused(httpx.ConnectError("no"), ConnectionRefusedError()), Reason.REFUSED),
        (caused(httpx.ConnectError("no"), OSError("no route")), Reason.REFUSED),
        (caused(httpx.ConnectError("no"), socket.gaierror()), Reason.DNS),
        (caused(httpx.ConnectError("no"), ssl.SSLCertVerificationError()), Reason.TLS),
        (caused(httpx.ConnectError("no"), PermissionError()), Reason.DISABLED),
        (httpx.ReadError("gone"), Reason.RESET),
        (httpx.WriteError("gone"), Reason.RESET),
        (httpx.CloseError("gone"), Reason.RESET),
        (httpx.ConnectTimeout("late"), Reason.TIMEOUT),
        (httpx.ReadTimeout("late"), Reason.TIMEOUT),
        (httpx.WriteTimeout("late"), Reason.TIMEOUT),
        (httpx.PoolTimeout("late"), Reason.TIMEOUT),
        (httpx.RemoteProtocolError("what?"), Reason.MALFORMED),
        (httpx.LocalProtocolError("what?"), Reason.MALFORMED),
        (httpx.UnsupportedProtocol("what?"), Reason.MALFORMED),
        (httpx.ProxyError("what?"), Reason.MALFORMED),
    ],
    ids=repr,
)
async def test_every_transport_error_has_a_reason(error, reason):
    failed = await failure_of(error)
    assert (failed.reason, failed.status) == (reason, None)
    assert str(failed) == f"up: {reason}"


async def test_a_body_in_pieces_is_one_answer():
    body = Body(b'{"n"', b": 1", b"}")
    assert await fetch(httpx.Response(200, stream=body)) == Answer(1)
    assert body.closed


async def test_a_body_that_breaks_off_is_a_reset():
    body = Body(b'{"n"', httpx.ReadError("gone"))
    assert (await failure_of(httpx.Response(200, stream=body))).reason is Reason.RESET
    assert body.closed


@pytest.mark.parametrize("max_bytes", [64, MAX_BODY_BYTES])
async def test_a_body_of_as_many_bytes_as_allowed_is_read(max_bytes):
    answer = b'{"n": 1}'.ljust(max_bytes)
    assert await fetch(httpx.Response(200, content=answer), max_bytes=max_bytes) == Answer(1)


@pytest.mark.parametrize("max_bytes", [64, MAX_BODY_BYTES])
async def test_reading_ends_with_the_first_byte_too_many(max_bytes):
    body = Body(b" " * max_bytes, b" ", b" ", b" ")
    failed = await failure_of(httpx.Response(200, stream=body), max_bytes=max_bytes)
    assert (failed.reason, failed.status) == (Reason.TOO_LARGE, 200)
    assert (body.read, body.closed) == (2, True)


@pytest.mark.parametrize("hung", [None, httpx.Response(200, stream=Never())], ids=["no head", "no body"])
@pytest.mark.parametrize(("attempt_timeout", "expires_in", "after"), [(1.5, 10, 1.5), (1.5, 0.7, 0.7)])
async def test_an_attempt_ends_at_its_timeout_or_the_deadline(hung, attempt_timeout, expires_in, after):
    loop = asyncio.get_running_loop()
    before = loop.time()
    failed = await failure_of(hung, attempt_timeout=attempt_timeout, expires_in=expires_in)
    assert failed.reason is Reason.TIMEOUT
    assert loop.time() - before == pytest.approx(after)


async def test_a_cancelled_call_is_cancelled_not_failed():
    task = asyncio.create_task(fetch(Upstream(None)))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (100, Reason.STATUS),
        (302, Reason.STATUS),
        (304, Reason.STATUS),
        (401, Reason.STATUS),
        (404, Reason.STATUS),
        (429, Reason.RATE_LIMITED),
        (500, Reason.STATUS),
        (503, Reason.STATUS),
    ],
)
async def test_only_a_2xx_is_an_answer(status, reason):
    failed = await failure_of(httpx.Response(status, json={"n": 1}, headers={"location": "/elsewhere"}))
    assert (failed.reason, failed.status) == (reason, status)


@pytest.mark.parametrize("status", [200, 201, 206])
async def test_every_2xx_is_an_answer(status):
    assert await fetch(httpx.Response(status, json={"n": 1, "unknown": [None]})) == Answer(1)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0.0),
        ("20", 20.0),
        ("99999999999", 3600.0),
        ("1.5", None),
        ("-1", None),
        ("soon", None),
        ("²", None),
        ("Sat, 21 Nov 2026 10:00:00 GMT", None),
    ],
)
async def test_retry_after_in_seconds(status, retry_after, seconds):
    headers = [(b"retry-after", retry_after.encode())]
    assert (await failure_of(httpx.Response(status, headers=headers))).retry_after == seconds


async def test_without_retry_after_there_is_none():
    assert (await failure_of(httpx.Response(503))).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"n"',
        b'{"n": 1',
        b'{"n": 1} {"n": 2}',
        b"\xef\xbb\xbf" + b'{"n": 1}',
        b"<!doctype html><html></html>",
        b"{}",
        b'{"n": null}',
        b'{"n": "1"}',
        b'{"n": true}',
        b'{"n": 1.5}',
        b'{"n": NaN}',
        b'{"n": 1, "rate": NaN}',
        b'{"n": 1, "rate": Infinity}',
        b'{"n": 1, "rate": 1e999}',
        b'{"n": 1, "rate": "0.5"}',
        b'{"n": 1, "names": null}',
        b'{"n": 1, "names": "ab"}',
        b'{"n": 1, "names": [null]}',
        b'{"n": 1, "names": {"0": "a"}}',
        b'{"n": 1, "names": ["\\ud800"]}',
        b'{"n": 1, "names": ["\xff"]}',
        b'{"n": 1, "names": ["\xed\xa0\x80"]}',
        b"[" * 10_000,
        b'{"n": 1, "unknown": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"n": 1, "unknown": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
async def test_what_is_not_the_expected_json_is_malformed(body):
    failed = await failure_of(httpx.Response(200, content=body))
    assert (failed.reason, failed.status) == (Reason.MALFORMED, 200)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
async def test_a_compressed_answer_is_refused(encoding):
    body = Body(b'{"n": 1}')
    answer = httpx.Response(200, headers={"content-encoding": encoding}, stream=body)
    assert (await failure_of(answer)).reason is Reason.MALFORMED


async def test_identity_is_not_compressed():
    answer = httpx.Response(200, headers={"content-encoding": "identity"}, stream=Body(b'{"n": 1}'))
    assert await fetch(answer) == Answer(1)


@pytest.mark.parametrize("status", [200, 404, 429, 502])
async def test_without_a_decoder_any_status_is_an_answer(status):
    reply = await fetch(httpx.Response(status, content=b"<html>", headers={"retry-after": "5"}), decoder=None)
    assert (reply.status, reply.body, reply.retry_after) == (status, b"<html>", 5.0)


@pytest.mark.parametrize(
    ("content_type", "in_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/html; charset=utf-8", False),
        ("text/plain", False),
        ("text/html; x=application/json", False),
        ("application/jsonp", False),
        ("", False),
    ],
)
async def test_an_error_in_json_is_the_apis_own_word(content_type, in_json):
    answer = httpx.Response(404, headers={"content-type": content_type}, content=b"{}")
    assert (await failure_of(answer)).in_json is in_json

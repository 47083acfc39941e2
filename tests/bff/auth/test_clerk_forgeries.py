"""Clerk session tokens that are not Clerk's, and what they may cost."""

import hashlib
import hmac
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from bff.auth import clerk
from tests.bff.auth.clerk_tokens import (
    HEADER,
    JWKS,
    NOW,
    OTHER_KEY,
    VERSION_2,
    Published,
    base64url,
    token,
    tokens,
    verify,
    without,
)
from tests.upstreams.answers import Upstream, json_answer
from upstreams.failure import UpstreamFailure

OTHER_JWK = OTHER_KEY.as_dict(private=False)
PROPERTY = settings(derandomize=True, deadline=None)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(clerk, "utc_now", lambda: datetime.fromtimestamp(NOW, UTC))


def unsigned(message, key):
    return b""


def with_the_public_key_as_a_secret(encoding):
    def sign(message, key):
        return hmac.digest(key.as_bytes(encoding, private=False), message.encode(), hashlib.sha256)

    return sign


def somebody_elses(message, key):
    return b"\0" * 256


FORGED = {
    "nobody's signature": token(sign=somebody_elses),
    "another key's signature": token(key=OTHER_KEY),
    "no signature": token(sign=unsigned),
    "alg none": token(header=HEADER | {"alg": "none"}, sign=unsigned),
    "alg None": token(header=HEADER | {"alg": "None"}, sign=unsigned),
    "alg none with a signature": token(header=HEADER | {"alg": "none"}),
    "HS256 with the public PEM": token(
        header=HEADER | {"alg": "HS256"}, sign=with_the_public_key_as_a_secret("PEM")
    ),
    "HS256 with the public DER": token(
        header=HEADER | {"alg": "HS256"}, sign=with_the_public_key_as_a_secret("DER")
    ),
    "RS512": token(header=HEADER | {"alg": "RS512"}),
    "PS256": token(header=HEADER | {"alg": "PS256"}),
    "ES256": token(header=HEADER | {"alg": "ES256"}, sign=lambda *_: b"\0" * 64),
    "alg in small letters": token(header=HEADER | {"alg": "rs256"}),
    "no alg": token(header=without(HEADER, "alg")),
    "alg of a wrong type": token(header=HEADER | {"alg": ["RS256"]}),
    "an embedded key": token(header=HEADER | {"jwk": OTHER_JWK}, key=OTHER_KEY),
    "an embedded small key": token(
        header=HEADER | {"jwk": ECKey.generate_key("P-256").as_dict(private=False)}, key=OTHER_KEY
    ),
    "a key at a URL": token(header=HEADER | {"jku": "https://evil.example.com/"}, key=OTHER_KEY),
    "a certificate at a URL": token(header=HEADER | {"x5u": "https://evil.example.com/"}, key=OTHER_KEY),
    "an embedded certificate": token(header=HEADER | {"x5c": ["MIIB"]}, key=OTHER_KEY),
    "a padded signature": token() + "=",
    "a line end": token() + "\n",
    "the claims changed": ".".join(
        [
            token().split(".")[0],
            base64url(msgspec.json.encode(VERSION_2 | {"sub": "user_2"})),
            token().split(".")[2],
        ]
    ),
    "the header changed": base64url(b'{"alg":"RS256","kid":"ins_1","typ":"jwt"}') + token()[token().index(".") :],
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_token(forged):
    upstream = Published()
    assert await verify(forged, upstream=upstream) is None
    assert {str(request.url) for request in upstream.requests} <= {JWKS.base}


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"jku": "https://evil.example.com/jwks.json"},
        {"x5u": "https://evil.example.com/cert.pem"},
        {"typ": "at+jwt"},
        {"anything": {"else": 1}},
    ],
    ids=str,
)
async def test_what_a_good_token_brings_along_is_not_looked_at(more):
    upstream = Published()
    assert await verify(token(header=HEADER | more), upstream=upstream) is not None
    assert [str(request.url) for request in upstream.requests] == [JWKS.base]


UNREADABLE = {
    "critical": token(header=HEADER | {"crit": ["exp"], "exp": NOW + 60}),
    "critical and unknown": token(header=HEADER | {"crit": ["x"], "x": 1}),
    "critical nothing": token(header=HEADER | {"crit": []}),
    "critical of a wrong type": token(header=HEADER | {"crit": 1}),
    "payload not encoded": token(header=HEADER | {"crit": ["b64"], "b64": False}),
    "payload said to be encoded": token(header=HEADER | {"b64": True}),
    "no kid": token(header=without(HEADER, "kid")),
    "an empty kid": token(header=HEADER | {"kid": ""}),
    "a number for a kid": token(header=HEADER | {"kid": 1}),
    "null for a kid": token(header=HEADER | {"kid": None}),
    "a long kid": token(header=HEADER | {"kid": "k" * 256}),
    "a large header": token(header=HEADER | {"x": "x" * 1000}),
    "a list for a header": token(header=["alg", "kid"]),
    "a text for a header": token(header="alg kid"),
    "a number for a header": token(header=1),
    "null for a header": token(header=b"null"),
    "no JSON for a header": token(header=b"{"),
    "no UTF-8 for a header": token(header=b"\xff\xfe"),
    "a deep header": token(header=b"[" * 380),
    "nothing": "",
    "a word": "token",
    "dots": "..",
    "many dots": "." * 10_000,
    "two parts": token().rpartition(".")[0],
    "four parts": token() + ".x",
    "spaces": f" {token()}",
    "not ASCII": token() + "é",
    "not Unicode": token() + "\ud800",
    "NUL": "\0" * 100,
    "more than 16 KB": token(VERSION_2 | {"x": "x" * 16_384}),
    "100 KB": token(VERSION_2 | {"x": "x" * 100_000}),
    "100 MB of header": base64url(b"[" * 1000) * 75_000,
}


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_a_good_token_costs_no_look_for_a_key(unreadable):
    upstream = Upstream()
    assert await verify(unreadable, upstream=upstream) is None
    assert upstream.requests == []


@pytest.mark.parametrize(
    "more", [{"typ": 1}, {"jku": "file:///etc/passwd"}, {"jwk": "key"}, {"x5c": "MIIB"}], ids=str
)
async def test_a_header_of_wrong_types(more):
    assert await verify(token(header=HEADER | more)) is None


async def test_claims_are_not_read_before_the_signature_is_checked(monkeypatch):
    read = []

    class Decoder:
        def decode(self, payload):
            read.append(payload)
            raise msgspec.DecodeError

    monkeypatch.setattr(clerk, "_PAYLOAD", Decoder())
    await verify(token(sign=somebody_elses))
    assert read == []
    await verify(token())
    assert len(read) == 1


async def test_unknown_keys_are_asked_for_once():
    upstream = Published()
    checked = tokens(upstream)
    for number in range(100):
        assert await checked.verify(token(header=HEADER | {"kid": f"ins_{number + 10}"})) is None
    assert await checked.verify(token()) is not None
    assert len(upstream.requests) == 1


async def test_without_keys_nobody_can_tell():
    with pytest.raises(UpstreamFailure):
        await verify(token(), upstream=Upstream(json_answer({}, 503)))


@PROPERTY
@given(st.integers(0, len(token()) - 1), st.characters())
async def test_a_token_with_any_character_changed_is_none(position, character):
    good = token()
    changed = good[:position] + character + good[position + 1 :]
    assert (await verify(changed) is None) is (changed != good)


@PROPERTY
@given(st.text() | st.binary().map(token) | st.binary(max_size=300).map(lambda header: token(header=header)))
async def test_nothing_whatever_breaks_the_check(anything):
    assert await verify(anything) is None

"""NextAuth v4 session cookies: which are opened, and what is believed of them."""

import zlib
from datetime import UTC, datetime

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from bff.auth.nextauth import Claims, NextAuthSessions
from tests.bff.auth.nextauth_tokens import SECRET, derived, token

SESSIONS = NextAuthSessions(SECRET)
EXPIRES = datetime(2026, 5, 1, tzinfo=UTC)
CLAIMS = {"sub": "user_1", "email": "ada@example.com", "iat": 1, "exp": EXPIRES.timestamp(), "jti": "x"}


def without(*names):
    return {name: value for name, value in CLAIMS.items() if name not in names}


def test_a_session_of_ours():
    assert SESSIONS.open(token(CLAIMS)) == Claims("user_1", "ada@example.com", EXPIRES)


def test_a_session_made_by_a_library():
    header = {"alg": "dir", "enc": "A256GCM"}
    made = jwe.encrypt_compact(header, token_claims(), OctKey.import_key(derived()), algorithms=["dir", "A256GCM"])
    assert SESSIONS.open(made) == Claims("user_1", "ada@example.com", EXPIRES)


def token_claims():
    return b'{"sub": "user_1", "email": "ada@example.com", "exp": 1777593600}'


@pytest.mark.parametrize(
    ("claims", "user_id", "email"),
    [
        (without("sub") | {"id": "user_2"}, "user_2", "ada@example.com"),
        (CLAIMS | {"id": "user_2"}, "user_1", "ada@example.com"),
        (CLAIMS | {"sub": "", "id": "user_2"}, "user_2", "ada@example.com"),
        (CLAIMS | {"sub": "ünï 中 ❤"}, "ünï 中 ❤", "ada@example.com"),
        (CLAIMS | {"sub": "u" * 255}, "u" * 255, "ada@example.com"),
        (without("email"), "user_1", None),
        (CLAIMS | {"email": None}, "user_1", None),
        (CLAIMS | {"email": ["ada@example.com"]}, "user_1", None),
        (CLAIMS | {"user": {"role": "admin", "deep": [[[]]]}}, "user_1", "ada@example.com"),
    ],
    ids=str,
)
def test_whose_it_is(claims, user_id, email):
    assert SESSIONS.open(token(claims)) == Claims(user_id, email, EXPIRES)


@pytest.mark.parametrize(
    "claims",
    [
        without("sub"),
        CLAIMS | {"sub": None},
        CLAIMS | {"sub": 7},
        CLAIMS | {"sub": {"id": "user_1"}},
        CLAIMS | {"sub": ["user_1"]},
        CLAIMS | {"sub": "u" * 256},
        CLAIMS | {"sub": "user\n1"},
        CLAIMS | {"sub": "user\0"},
        CLAIMS | {"sub": "user\x7f"},
        CLAIMS | {"sub": "user\u202e"},
        CLAIMS | {"sub": "user\ud800"},
        without("exp"),
        CLAIMS | {"exp": None},
        CLAIMS | {"exp": "1777593600"},
        CLAIMS | {"exp": True},
        CLAIMS | {"exp": [1777593600]},
        CLAIMS | {"exp": 10**15},
        CLAIMS | {"exp": 10**400},
        CLAIMS | {"exp": -(10**15)},
        CLAIMS | {"exp": float("nan")},
        CLAIMS | {"exp": float("inf")},
        [],
        "user_1",
        None,
        1,
    ],
    ids=lambda claims: ascii(claims)[:80],
)
def test_what_says_nothing_usable_is_no_session(claims):
    assert SESSIONS.open(token(claims)) is None


@pytest.mark.parametrize(
    "plaintext",
    [b"", b"{", b"\xff", b"[" * 3_000, b'{"a":' * 3_000],
    ids=["empty", "broken off", "not UTF-8", "deep lists", "deep objects"],
)
def test_what_is_no_json_is_no_session(plaintext):
    assert SESSIONS.open(token(None, plaintext=plaintext)) is None


@pytest.mark.parametrize(
    "key",
    [
        derived("another secret"),
        derived(info=b""),
        derived(info=b"NextAuth.js Generated Encryption Key (salt)"),
        derived(salt=b"salt"),
        SECRET.encode().ljust(32)[:32],
    ],
    ids=["other secret", "no info", "other info", "a salt", "the secret itself"],
)
def test_what_was_made_with_another_key_is_no_session(key):
    assert SESSIONS.open(token(CLAIMS, key=key)) is None


@pytest.mark.parametrize("part", range(5))
def test_a_session_tampered_with_is_none(part):
    parts = token(CLAIMS).split(".")
    first = "B" if parts[part][:1] == "A" else "A"
    parts[part] = first + parts[part][1:]
    assert SESSIONS.open(".".join(parts)) is None


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "A256KW"},
        {"alg": "A256GCMKW"},
        {"alg": "RSA-OAEP"},
        {"alg": "PBES2-HS256+A128KW", "p2s": "AAAA", "p2c": 10**9},
        {"alg": None},
        {"alg": ["dir"]},
        {"enc": "A128GCM"},
        {"enc": "A128CBC-HS256"},
        {"enc": "A256CBC-HS512"},
        {"enc": {}},
        {"crit": ["exp"], "exp": 1},
    ],
    ids=str,
)
def test_any_other_algorithm_is_refused(header):
    assert SESSIONS.open(token(CLAIMS, **header)) is None


def deflated(content):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def test_a_compressed_session_is_refused():
    assert SESSIONS.open(token(None, plaintext=deflated(token_claims()), zip="DEF")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "....",
        "a.b.c",
        "a.b.c.d.e",
        "e30..AAAA.AAAA.AAAA",
        "bm90IGpzb24..AAAA.AAAA.AAAA",
        "é....",
        "." * 9999,
    ],
)
def test_what_is_no_jwe_is_no_session(text):
    assert SESSIONS.open(text) is None


def test_more_than_one_session_is_still_told_apart():
    another = NextAuthSessions("another secret")
    assert another.open(token(CLAIMS)) is None
    assert another.open(token(CLAIMS, key=derived("another secret"))) is not None

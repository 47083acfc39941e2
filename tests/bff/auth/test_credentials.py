"""The credentials a request carries, and in which order they count."""

import pytest

from bff.auth.credentials import Credential, CredentialReader, Kind, bearer, parse_cookies

READER = CredentialReader(["__Secure-session", "session"], ["__Secure-next", "next"])


def read(cookie="", authorization=""):
    headers = {b"cookie": cookie.encode("latin-1"), b"authorization": authorization.encode("latin-1")}
    return [(each.kind.value, each.token) for each in READER.read({k: v for k, v in headers.items() if v})]


def test_in_the_documented_order():
    assert read("next=n; session=s; __Secure-next=N; __Secure-session=S", "Bearer b") == [
        ("opaque", "S"),
        ("opaque", "s"),
        ("opaque", "b"),
        ("nextauth", "N"),
        ("nextauth", "n"),
    ]


def test_without_credentials_there_are_none():
    assert read() == []
    assert read("theme=dark; sessions=x; session2=y", "Basic dTpw") == []


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        (";;; ;", {}),
        ("a", {}),
        ("a=", {"a": ""}),
        ("=a", {"": "a"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        (" a = 1 ;\tb=2 ", {"a": "1", "b": "2"}),
        ("a=1=2==", {"a": "1=2=="}),
        ('a="1"', {"a": '"1"'}),
        ('a="1; b=2"', {"a": '"1', "b": '2"'}),
        ("a=1; a=2", {"a": "1"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ("a=%20+", {"a": "%20+"}),
        ("a=\xff", {"a": "\xff"}),
        ("a=1, b=2", {"a": "1, b=2"}),
    ],
)
def test_cookies(header, cookies):
    assert parse_cookies(header.encode("latin-1")) == cookies


@pytest.mark.parametrize(
    ("cookie", "token"),
    [
        ("next=whole; next.0=a; next.1=b", "whole"),
        ("next.0=a", "a"),
        ("next.1=b; next.0=a; next.2=c", "abc"),
        ("next.0=a; next.2=c", "a"),
        ("next.1=b", None),
        ("next=; next.0=a", None),
        ("; ".join(f"next.{n}={n % 10}" for n in range(20)), "0123456789012345"),
    ],
)
def test_a_large_cookie_comes_in_chunks(cookie, token):
    assert read(cookie) == ([("nextauth", token)] if token else [])


def test_only_nextauth_cookies_come_in_chunks():
    assert read("session.0=a; session.1=b") == []


@pytest.mark.parametrize(
    "token",
    ["", "a" * (16 * 1024 + 1), "tok\x7fen", "tök", "a\x00b"],
    ids=["empty", "oversize", "control", "not ASCII", "NUL"],
)
@pytest.mark.parametrize("where", ["session={}", "next={}", "Bearer {}"])
def test_what_cannot_be_a_token_is_none(where, token):
    given = where.format(token)
    assert (read(authorization=given) if where.startswith("Bearer") else read(given)) == []


def test_the_largest_token_is_one():
    assert read("session=" + "a" * 16 * 1024) == [("opaque", "a" * 16 * 1024)]


def test_an_insane_credential_leaves_the_others():
    assert read("session=\x01", "Bearer b") == [("opaque", "b")]


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer t", "t"),
        ("bearer t", "t"),
        ("BEARER  t ", "t"),
        ("Bearer a b", "a b"),
        ("Bearer ", ""),
        ("Bearer", None),
        ("Bearert", None),
        ("Basic t", None),
        (" Bearer t", None),
        ("", None),
    ],
)
def test_bearer(value, token):
    assert bearer({b"authorization": value.encode()}) == token


@pytest.mark.parametrize(
    ("cookie", "has"),
    [
        ("session=s", True),
        ("__Secure-session=", True),
        ("next=n", True),
        ("next.0=n", True),
        ("theme=dark", False),
        ("next.1=n", False),
        ("sessions=s", False),
        ("", False),
    ],
)
def test_whether_a_browser_may_have_sent_a_session_on_its_own(cookie, has):
    assert READER.has_cookie({b"cookie": cookie.encode()}) is has


def test_a_bearer_token_is_not_sent_by_a_browser_on_its_own():
    assert not READER.has_cookie({b"authorization": b"Bearer t"})


def test_a_credential_does_not_show_its_token():
    assert "hunter2" not in repr(Credential(Kind.OPAQUE, "hunter2"))

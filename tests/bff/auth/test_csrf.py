"""Which unsafe requests a browser was made to send from elsewhere (contract.md, "Unsafe methods")."""

import pytest

from bff.auth.csrf import SAFE_METHODS, is_forged

ALLOWED = {"https://dashboard.example.com"}


def forged(host="api.example.com", **headers):
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return is_forged(
        {name.encode(): value.encode() for name, value in given.items() if value is not None}, ALLOWED
    )


@pytest.mark.parametrize(
    ("site", "is_from_elsewhere"),
    [
        ("same-origin", False),
        ("none", False),
        ("same-site", True),
        ("cross-site", True),
        ("", True),
        ("Same-Origin", True),
        ("same-origin, cross-site", True),
    ],
)
@pytest.mark.parametrize("origin", [None, "https://api.example.com", "https://evil.com", "null"])
def test_the_browsers_own_word_decides(site, origin, is_from_elsewhere):
    assert forged(sec_fetch_site=site, origin=origin) is is_from_elsewhere


@pytest.mark.parametrize(
    ("origin", "host", "is_from_elsewhere"),
    [
        ("https://api.example.com", "api.example.com", False),
        ("https://api.example.com", "api.example.com:443", False),
        ("https://api.example.com:443", "api.example.com", False),
        ("https://api.example.com", "API.Example.com", False),
        ("http://localhost:8080", "localhost:8080", False),
        ("http://[::1]:8080", "[::1]:8080", False),
        ("https://api.example.com:8443", "api.example.com", True),
        ("http://localhost:3000", "localhost:8080", True),
        ("https://api.example.com", "api.example.com:80", True),
        ("https://evil.com", "api.example.com", True),
        ("https://sub.api.example.com", "api.example.com", True),
        ("https://example.com", "api.example.com", True),
        ("https://api.example.com.evil.com", "api.example.com", True),
        ("https://api.example.com@evil.com", "api.example.com", True),
        ("null", "api.example.com", True),
        ("null", "null", True),
        ("https://", "", True),
        ("https://api.example.com:port", "api.example.com:port", True),
        ("https://[::1", "[::1", True),
        ("https://api.example.com", None, True),
    ],
)
def test_without_it_the_origin_must_be_the_requests_own_host(origin, host, is_from_elsewhere):
    assert forged(host, origin=origin) is is_from_elsewhere


@pytest.mark.parametrize("site", [None, "cross-site", "same-site"])
def test_a_configured_origin_always_passes(site):
    assert not forged(origin="https://dashboard.example.com", sec_fetch_site=site)


@pytest.mark.parametrize(
    "origin",
    [
        "http://dashboard.example.com",
        "https://dashboard.example.com:8443",
        "https://dashboard.example.com.evil.com",
    ],
)
def test_what_is_like_a_configured_origin_does_not(origin):
    assert forged(origin=origin, sec_fetch_site="cross-site")
    assert forged(origin=origin)


def test_a_request_with_neither_is_not_a_browsers():
    assert not forged()


def test_safe_methods():
    assert sorted(SAFE_METHODS) == ["GET", "HEAD", "OPTIONS"]

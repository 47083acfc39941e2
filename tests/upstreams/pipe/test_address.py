"""Where an upstream is, and which address a database row may name."""

import pytest

from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, HostRules, enabled


@pytest.mark.parametrize(
    ("url", "base", "origin"),
    [
        ("http://gw.example.com", "http://gw.example.com", "http://gw.example.com:80"),
        ("https://gw.example.com/", "https://gw.example.com", "https://gw.example.com:443"),
        ("HTTPS://GW.Example.COM", "https://gw.example.com", "https://gw.example.com:443"),
        ("http://gw.example.com:8080/base/", "http://gw.example.com:8080/base", "http://gw.example.com:8080"),
        ("http://gw.example.com:80", "http://gw.example.com", "http://gw.example.com:80"),
        ("https://gw.example.com:80", "https://gw.example.com:80", "https://gw.example.com:80"),
        ("http://gw.example.com.", "http://gw.example.com.", "http://gw.example.com.:80"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9", "http://127.0.0.1:9"),
        ("http://[::1]", "http://[::1]", "http://[::1]:80"),
        ("http://[FD00::1]:8080/", "http://[FD00::1]:8080", "http://[fd00::1]:8080"),
        ("http://gw.example.com/@evil.com", "http://gw.example.com/@evil.com", "http://gw.example.com:80"),
    ],
)
def test_a_base_url(url, base, origin):
    address = Address.parse(url)
    assert (address.base, address.origin, address.public_only) == (base, origin, False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "an http:// or https:// URL"),
        ("gw.example.com", "an http:// or https:// URL"),
        ("//gw.example.com", "an http:// or https:// URL"),
        ("http:gw.example.com", "an http:// or https:// URL"),
        ("http:///healthz", "an http:// or https:// URL"),
        ("ftp://gw.example.com", "an http:// or https:// URL"),
        ("file:///etc/passwd", "an http:// or https:// URL"),
        ("javascript:alert(1)", "an http:// or https:// URL"),
        ("http://user@gw.example.com", "a URL without user, query or fragment"),
        ("http://user:password@gw.example.com", "a URL without user, query or fragment"),
        ("http://gw.example.com\\@evil.com", "a URL without user, query or fragment"),
        ("http://gw.example.com?path=", "a URL without user, query or fragment"),
        ("http://gw.example.com?", "a URL without user, query or fragment"),
        ("http://gw.example.com#", "a URL without user, query or fragment"),
        ("http://gw.example.com/#@evil.com", "a URL without user, query or fragment"),
        ("http://gw.example.com:0", "a port from 1 to 65535"),
        ("http://gw.example.com:65536", "a port from 1 to 65535"),
        ("http://gw.example.com:http", "a valid URL"),
        ("http://gw.example.com\nhost: evil", "a valid URL"),
        ("http://[::1", "a valid URL"),
        ("http://0177.0.0.1", "a valid URL"),
        ("http://xn--a-.example.com", "a valid URL"),
        ("http://evil.com\\.example.com", "a valid host"),
        ("http://gw.example.com%2eevil.com", "a valid host"),
        ("http://gw.example.com;evil.com", "a valid host"),
        ("http://gw example.com", "a valid host"),
        ("http://[fe80::1%25eth0]", "a valid host"),
        ("http://" + "a" * 2048, "a URL of at most 2048 characters"),
    ],
)
def test_not_a_base_url(url, expected):
    with pytest.raises(ValueError) as caught:
        Address.parse(url)
    assert str(caught.value) == expected


def test_paths_are_below_the_base():
    assert (
        str(Address.parse("http://gw.example.com/base/").url("/healthz")) == "http://gw.example.com/base/healthz"
    )


def test_an_upstream_without_an_address_is_disabled():
    with pytest.raises(UpstreamFailure) as caught:
        enabled(None, "metrics")
    assert (caught.value.upstream, caught.value.reason) == ("metrics", Reason.DISABLED)


SHARED = Address.parse("http://shared.internal:9101/base")
RULES = HostRules(
    [
        "gw.example.com",
        "10.0.0.5:8080",
        " Spaced.Example.com ",
        "*.agents.example.com",
        "localhost",
        "[::1]",
        "fd00::1",
        "[fd00::2]:8080",
        "fd00::3:80",
    ],
    SHARED,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://gw.example.com",
        "https://GW.example.com:8443/any/path",
        "http://10.0.0.5:8080",
        "http://spaced.example.com",
        "http://localhost:9",
        "http://[::1]:9",
        "http://[fd00::1]",
        "http://[fd00::2]:8080",
        "http://[fd00::3:80]",
        "http://shared.internal:9101",
        "http://SHARED.internal:9101/elsewhere",
    ],
)
def test_what_is_named_in_full_may_be_anywhere(url):
    address = RULES.address(url)
    assert address is not None
    assert not address.public_only


@pytest.mark.parametrize(
    "url",
    [
        "http://a.agents.example.com",
        "https://A.b.Agents.example.com:8443/x",
        "http://127.0.0.1.agents.example.com",
    ],
)
def test_what_matches_a_suffix_must_be_at_a_public_address(url):
    address = RULES.address(url)
    assert address is not None
    assert address.public_only


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.com",
        "http://10.0.0.5",
        "http://10.0.0.5:8081",
        "http://10.0.0.6:8080",
        "https://shared.internal:9101",
        "http://shared.internal",
        "http://shared.internal:91010",
        "http://agents.example.com",
        "http://evilagents.example.com",
        "http://a.agents.example.com.evil.com",
        "http://a.agents.example.com.",
        "http://gw.example.com.",
        "http://gw.example.com.evil.com",
        "http://gw.example.com%2eevil.com",
        "http://gw.example.com%00.agents.example.com.evil.com",
        "http://gw.example.com;evil.com",
        "http://evil.com/gw.example.com",
        "http://evil.com/@gw.example.com",
        "http://gw.example.com@evil.com",
        "http://gw.example.com:80@evil.com",
        "http://gw.example.com\\@evil.com",
        "http://evil.com\\.agents.example.com/",
        "http://evil.com#.agents.example.com",
        "http://evil.com?.agents.example.com",
        "http://evil.com/.agents.example.com",
        "ftp://gw.example.com",
        "gw.example.com",
        "",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://127.0.0.1",
        "http://169.254.169.254",
        "http://[::ffff:127.0.0.1]",
        "http://[::2]",
        "http://[fd00::2]",
        "http://[fd00::3]:80",
    ],
)
def test_everything_else_may_not_be_asked(url):
    assert RULES.address(url) is None


def test_without_rules_only_the_shared_gateway_may_be_asked():
    rules = HostRules([], SHARED)
    assert rules.address("http://shared.internal:9101") is not None
    assert rules.address("http://gw.example.com") is None
    assert HostRules([], None).address("http://shared.internal:9101") is None


def test_a_star_alone_is_no_pattern():
    assert HostRules(["*", "*."], None).address("http://evil.com") is None

"""Where Redis is: what a URL says, what it cannot say, and that nothing repeats its passwords."""

import pytest

from bff.configuration import ConfigurationError, validate
from bff.redis.addresses import Address, parse

SECRET = "s3cr3t"
MEANT = {
    "redis://cache": Address("server", (("cache", 6379),)),
    "redis://cache:7000/3": Address("server", (("cache", 7000),), database=3),
    "redis://[::1]:7000": Address("server", (("::1", 7000),)),
    "redis://:s3cr3t@cache": Address("server", (("cache", 6379),), password=SECRET),
    "redis://bff:p%40ss%2F@cache/0": Address("server", (("cache", 6379),), "bff", "p@ss/"),
    "rediss://cache": Address("server", (("cache", 6379),), tls=True),
    "rediss://cache/1?ssl_ca_certs=/etc/ca.pem": Address(
        "server", (("cache", 6379),), database=1, tls=True, ca_certs="/etc/ca.pem"
    ),
    "redis+sentinel://one,two:7000/main": Address("sentinel", (("one", 26379), ("two", 7000)), service="main"),
    "redis+sentinel://:s3cr3t@one/main/2?sentinel_password=a+b%26c": Address(
        "sentinel", (("one", 26379),), password=SECRET, database=2, service="main", sentinel_password="a+b&c"
    ),
    "rediss+sentinel://one/main": Address("sentinel", (("one", 26379),), service="main", tls=True),
    "redis+cluster://bff:s3cr3t@one:1,two:2,three": Address(
        "cluster", (("one", 1), ("two", 2), ("three", 6379)), "bff", SECRET
    ),
    "rediss+cluster://one/": Address("cluster", (("one", 6379),), tls=True),
}
MEANINGLESS = [
    "",
    "cache:6379",
    "http://:s3cr3t@cache",
    "redis:///0",
    "redis://:s3cr3t@",
    "redis://:s3cr3t@cache:0",
    "redis://:s3cr3t@cache:port",
    "redis://:s3cr3t@cache:65536",
    "redis://:s3cr3t@one,two",
    "redis://:s3cr3t@[::1",
    "redis://:/s3cr3t@cache",
    "redis://:#s3cr3t@cache",
    "redis://:?s3cr3t@cache",
    "redis://s3cr3t@cache",
    "redis://:s3cr3t@cache/main",
    "redis://:s3cr3t@cache/-1",
    "redis://:s3cr3t@cache/0/0",
    "redis://:s3cr3t@cache?password=s3cr3t",
    "redis://:s3cr3t@cache?ssl_ca_certs=/etc/ca.pem",
    "redis://:s3cr3t@cache?sentinel_password=s3cr3t",
    "redis+sentinel://:s3cr3t@one,two",
    "redis+sentinel://:s3cr3t@one,,two/main",
    "redis+sentinel://:s3cr3t@one/main/0/1",
    "redis+cluster://:s3cr3t@one/0",
    "unix:///s3cr3t",
]


@pytest.mark.parametrize(("url", "address"), MEANT.items(), ids=MEANT)
def test_a_url_says_where_redis_is(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize("url", MEANINGLESS)
def test_a_url_that_says_nothing_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(url)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_password_is_shown() -> None:
    address = parse("redis+sentinel://u:s3cr3t@one/main?sentinel_password=s3cr3t")
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    "url",
    ["http://:s3cr3t@cache", "redis://:s3cr3t@cache/x", "rediss://:s3cr3t@cache?ssl_ca_certs=/nowhere"],
)
def test_the_configuration_is_refused_with_such_a_url(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        validate({"cache": {"redis_url": url}})
    assert "cache.redis_url" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", [url for url in MEANT if "ca_certs" not in url])
def test_the_configuration_takes_any_other(url: str) -> None:
    assert validate({"cache": {"redis_url": url}}).cache.redis_url.get_secret_value() == url

"""Where Redis is: one server, the master that sentinels know, or a cluster, as one URL."""

import ssl
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Kind = Literal["server", "sentinel", "cluster"]
Where = tuple[str, int]

_KINDS: Final[dict[str, Kind]] = {"redis": "server", "redis+sentinel": "sentinel", "redis+cluster": "cluster"}
_PORTS: Final[dict[Kind, int]] = {"server": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class Address:
    """``nodes``: the server, the sentinels, or some nodes of the cluster, each a host and a port.

    ``service``: the name by which the sentinels know the master. ``ca_certs``: a file of the authorities that are
    trusted, ``None`` for the system's.
    """

    kind: Kind
    nodes: tuple[Where, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    service: str = ""
    sentinel_password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_certs: str | None = None

    def tls_context(self) -> ssl.SSLContext | None:
        """Return what verifies the servers, None without TLS. Raises ValueError when ``ca_certs`` is of no use."""
        if not self.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_certs)
        except OSError:
            raise ValueError("Redis's ssl_ca_certs is not a file of certificates that can be read") from None


def parse(url: str) -> Address:
    """Return the address that ``url`` names. Raises ValueError, whose message never holds a password."""
    try:
        parts = urlsplit(url)
        # A plus sign is one: passwords in base64 have them.
        options = dict(parse_qsl(parts.query.replace("+", "%2B"), strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError("Redis's URL cannot be understood") from None
    tls = parts.scheme.startswith("rediss")
    kind = _KINDS.get(parts.scheme.replace("rediss", "redis", 1))
    if kind is None:
        raise ValueError(f"Redis's URL can be one of {', '.join(_KINDS)}, or with rediss for TLS")
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, database = _service_and_database(kind, parts.path)
    address = Address(
        kind,
        tuple(_node(kind, host) for host in hosts.split(",")),
        unquote(user) or None,
        unquote(password) or None,
        database,
        service,
        options.pop("sentinel_password", None) if kind == "sentinel" else None,
        tls,
        options.pop("ssl_ca_certs", None) if tls else None,
    )
    _check(address, nothing_more=not (options or parts.fragment))
    return address


def _node(kind: Kind, text: str) -> Where:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or any(mark in text for mark in " %/"):
        raise ValueError("Redis's URL names no host, or a port that can not be")
    return host, port or _PORTS[kind]


def _service_and_database(kind: Kind, path: str) -> tuple[str, int]:
    names = [unquote(name) for name in path.split("/") if name]
    service = names.pop(0) if kind == "sentinel" and names else ""
    number = names.pop(0) if kind != "cluster" and names else "0"
    if names or not (number.isascii() and number.isdigit() and len(number) < 7):
        raise ValueError("Redis's URL has a path that is not the number of a database")
    return service, int(number)


def _check(address: Address, *, nothing_more: bool) -> None:
    if not nothing_more:
        raise ValueError("Redis's URL has parameters that mean nothing here")
    if address.kind == "sentinel" and not address.service:
        raise ValueError("Redis's URL does not tell by which name the sentinels know the master")
    if address.kind == "server" and len(address.nodes) > 1:
        raise ValueError("Redis's URL names several servers, as only those of sentinels and clusters do")
    if address.user and not address.password:
        raise ValueError("Redis's URL has a user without a password")

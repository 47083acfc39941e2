"""Opening a connection: names to addresses, the addresses that are allowed, TLS."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address

import httpx

from upstreams._http.connection import Connection
from upstreams._http.request import Origin
from upstreams.addresses import is_public


async def dial(origin: Origin, context: ssl.SSLContext | None, make: Callable[[], Connection]) -> Connection:
    """Return a new connection to the first address of ``origin`` that takes one, over TLS with a ``context``.

    Raises httpx.ConnectError from the socket.gaierror, PermissionError (no address is allowed), ssl.SSLError
    or other OSError of the last address tried.
    """
    try:
        return await _connect(origin, await _addresses(origin), context, make)
    except OSError as error:
        raise httpx.ConnectError(f"cannot connect to {origin.host}:{origin.port}") from error


async def _addresses(origin: Origin) -> list[str]:
    addresses = await _resolve(origin.host, origin.port)
    if not origin.public_only:
        return addresses
    # Checked on what is then connected to: a name cannot change its mind in between.
    public = [address for address in addresses if is_public(address)]
    if not public:
        raise PermissionError(f"{origin.host} has no public address")
    return public


async def _resolve(host: str, port: int) -> list[str]:
    try:
        ip_address(host)
    except ValueError:
        # As bytes, or Python's own IDNA codec raises UnicodeError for labels that DNS merely cannot have.
        found = await asyncio.get_running_loop().getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
    return [host]


async def _connect(
    origin: Origin, addresses: list[str], context: ssl.SSLContext | None, make: Callable[[], Connection]
) -> Connection:
    loop = asyncio.get_running_loop()
    name = origin.host if context is not None else None
    *others, last = addresses
    for address in others:
        try:
            _, connection = await loop.create_connection(
                make, address, origin.port, ssl=context, server_hostname=name
            )
        except OSError:
            continue
        return connection
    _, connection = await loop.create_connection(make, last, origin.port, ssl=context, server_hostname=name)
    return connection

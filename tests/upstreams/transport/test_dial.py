"""Where the transport connects to, and why it does not."""

import asyncio
import datetime
import ipaddress
import socket
import ssl

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.upstreams.transport.wire import OK, always, fetch, serving
from upstreams._http import dial
from upstreams.transport import LeanTransport


async def cause_of_failing(transport: LeanTransport, url: str, **extensions) -> BaseException | None:
    with pytest.raises(httpx.ConnectError) as failure:
        await fetch(transport, httpx.Request("GET", url, extensions=extensions))
    return failure.value.__cause__


@pytest.fixture
def unused_port():
    """Take a port and do not listen on it: it refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_refused(transport, unused_port, host):
    cause = await cause_of_failing(transport, f"http://{host}:{unused_port}/")
    assert isinstance(cause, ConnectionRefusedError)


@pytest.mark.parametrize("host", ["nope.invalid", "a" * 64 + ".invalid"])
async def test_unknown_name(transport, host):
    assert isinstance(await cause_of_failing(transport, f"http://{host}/"), socket.gaierror)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
async def test_public_only_refuses_what_is_not(transport, host):
    async with serving(always(OK)) as server:
        port = httpx.URL(server.url).port
        cause = await cause_of_failing(transport, f"http://{host}:{port}/", public_only=True)
        assert isinstance(cause, PermissionError)
        assert not server.peers


async def test_public_only_never_uses_a_connection_made_without(transport):
    async with serving(always(OK)) as server:
        await fetch(transport, server.get())
        assert isinstance(await cause_of_failing(transport, server.url, public_only=True), PermissionError)


async def test_public_only_passes_over_the_private_addresses_of_a_name(transport, monkeypatch):
    async with serving(always(OK)) as server:
        monkeypatch.setattr(dial, "is_public", lambda address: address == "127.0.0.1")
        resolves_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        url = f"http://both.example:{httpx.URL(server.url).port}/"
        request = httpx.Request("GET", url, extensions={"public_only": True})
        assert await fetch(transport, request) == (200, b"ok")


async def test_next_address_is_tried_when_one_refuses(transport, monkeypatch):
    async with serving(always(OK)) as server:
        resolves_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        url = f"http://both.example:{httpx.URL(server.url).port}/"
        assert await fetch(transport, httpx.Request("GET", url)) == (200, b"ok")


def resolves_to(monkeypatch, addresses: list[str]) -> None:
    async def resolve(host, port):
        return addresses

    monkeypatch.setattr(dial, "_resolve", resolve)


@pytest.mark.parametrize("url", ["ftp://example.com/", "/relative", "http:///nowhere"])
async def test_url_that_cannot_be_asked(transport, url):
    with pytest.raises(httpx.UnsupportedProtocol):
        await fetch(transport, httpx.Request("GET", url))


async def test_cancelled_while_connecting_leaves_nothing(transport):
    """A full backlog: the kernel leaves further connections waiting."""
    with socket.socket() as listening, socket.socket() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting.connect(listening.getsockname())
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await transport.handle_async_request(
                        httpx.Request("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/")
                    )
        assert not transport._pool._open


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> str:
    """Return the path of a self-signed certificate and its key, for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(path)


@pytest.fixture
def server_context(certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_keeps_the_connection_too(server_context, trusting, host):
    async with LeanTransport(ssl_context=trusting) as transport, serving(always(OK), server_context) as server:
        url = f"https://{host}:{httpx.URL(server.url).port}/"
        for _ in range(3):
            assert await fetch(transport, httpx.Request("GET", url)) == (200, b"ok")
        assert len(server.peers) == 1


async def test_tls_big_body_read_slowly_to_the_end_of_the_connection(server_context, trusting):
    size = 3 * 1024 * 1024

    async def script(peer):
        await peer.answer(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size, bytes(size)
        )

    async with LeanTransport(ssl_context=trusting) as transport, serving(script, server_context) as server:
        response = await transport.handle_async_request(server.get())
        received = 0
        async for chunk in response.stream:
            received += len(chunk)
            await asyncio.sleep(0.001)
        assert received == size


async def test_tls_certificate_nobody_vouches_for(transport, server_context):
    async with serving(always(OK), server_context) as server:
        assert isinstance(await cause_of_failing(transport, server.url), ssl.SSLCertVerificationError)


async def test_tls_certificate_for_another_name(server_context, trusting, monkeypatch):
    resolves_to(monkeypatch, ["127.0.0.1"])
    async with LeanTransport(ssl_context=trusting) as transport, serving(always(OK), server_context) as server:
        url = f"https://other.example:{httpx.URL(server.url).port}/"
        assert isinstance(await cause_of_failing(transport, url), ssl.SSLCertVerificationError)


async def test_tls_cancelled_within_the_handshake_leaves_nothing(transport):
    async def script(peer):
        await peer.reader.read()

    async with serving(script) as server:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await fetch(transport, httpx.Request("GET", server.url.replace("http:", "https:")))
        for peer in server.peers:
            await peer.closed.wait()


async def test_tls_with_a_server_that_has_none(transport):
    async def script(peer):
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(script) as server:
        cause = await cause_of_failing(transport, server.url.replace("http:", "https:"))
        assert isinstance(cause, ssl.SSLError)

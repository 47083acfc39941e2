"""With rediss, Redis is whoever shows a certificate that is trusted and its own; nobody else is told a word."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from bff.metrics import Metrics
from bff.redis import Redis
from tests.bff.redis.asking import answers, outcome
from tests.bff.redis.listening import CHANNEL, GAP, Listener
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.usefixtures("patient")

OWN = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
ANOTHERS = x509.IPAddress(ipaddress.ip_address("127.0.0.2"))


def certified(folder: Path, name: x509.GeneralName) -> Path:
    """Return the file of a key and of a certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Redis")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = folder / f"{x509.random_serial_number()}.pem"
    file.write_bytes(
        certificate.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return file


class Terminator:
    """Speaks TLS on ``port`` for a Redis that does not; ``told`` is all that clients have said to it."""

    def __init__(self, target: int) -> None:
        self.told = b""
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, file: Path) -> AsyncIterator["Terminator"]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, asker: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        answerer, questions = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {answers, questions}
        await asyncio.gather(self._pass_on(asker, questions), self._pass_on(answerer, answers))

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            self.told += data
            sink.write(data)
        sink.close()


async def test_the_certificate_of_a_trusted_authority(
    tmp_path: Path, redis_url: str, redis_server: RedisServer
) -> None:
    file = certified(tmp_path, OWN)
    async with (
        Terminator(redis_server.port).serving(file) as server,
        Listener(f"rediss://127.0.0.1:{server.port}/0?ssl_ca_certs={file}") as listener,
    ):
        assert await answers(listener.redis)
        redis_server.ask("PUBLISH", CHANNEL, "hello")
        assert await listener.hears(GAP, b"hello")


@pytest.mark.parametrize(
    ("name", "trusts"),
    [(OWN, "another"), (OWN, "the system's"), (ANOTHERS, "its own")],
    ids=["another authority", "the system's authorities", "another's name"],
)
async def test_any_other_is_refused(
    name: x509.GeneralName, trusts: str, tmp_path: Path, redis_server: RedisServer, metrics: Metrics
) -> None:
    file = certified(tmp_path, name)
    trusted = {"another": certified(tmp_path, OWN), "the system's": None, "its own": file}[trusts]
    async with Terminator(redis_server.port).serving(file) as pretender:
        more = f"?ssl_ca_certs={trusted}" if trusted else ""
        redis = Redis(f"rediss://:s3cr3t@127.0.0.1:{pretender.port}/0{more}", metrics)
        redis.subscribe(CHANNEL, lambda _: None, lambda: None)
        with capture_logs() as lines:
            await redis.open()
        assert await outcome(redis) == "down"
        assert [(line["event"], line["error"]) for line in lines] == [("redis lost", "SSLCertVerificationError")]
        await redis.close()
        assert pretender.told == b""


async def test_a_server_without_tls_is_told_nothing(redis_url: str, metrics: Metrics) -> None:
    redis = Redis(redis_url.replace("redis://", "rediss://:s3cr3t@"), metrics)
    await redis.open()
    assert await outcome(redis) == "down"
    await redis.close()

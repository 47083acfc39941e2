"""The configuration: ``config.yaml``, and the environment over it. Every key, its type and its default."""

import base64
import json
import re
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bff.redis import addresses
from upstreams.pipe import Address, Policy
from upstreams.services import Service
from upstreams.user_store.address import parse

ENV_PREFIX = "BFF_"

Seconds = Annotated[float, Field(gt=0, le=3600)]
KeepSeconds = Annotated[float, Field(ge=0, le=7 * 86400)]
Port = Annotated[int, Field(ge=0, le=65535)]


def _split(value: Any) -> Any:
    """Let a list be written as one comma-separated text, as environments do."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _parse_json(value: Any) -> Any:
    """Let a structure be written as one JSON text, as environments do."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError("valid JSON") from error


def _origin(value: str) -> str:
    """Return a browser origin as browsers send it (RFC 6454, 6.1). Any origin is none: ours come with cookies."""
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]+)?", value.lower()):
        raise ValueError("an origin such as https://app.example.com, without a path")
    return value.lower()


def _host_pattern(value: str) -> str:
    name = r"(\*\.)?[A-Za-z0-9_-][A-Za-z0-9_.-]*(:[0-9]+)?"
    if not re.fullmatch(rf"{name}|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\](:[0-9]+)?", value.strip()):
        raise ValueError("host, host:port or *.suffix")
    return value.strip()


def _header_text(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError("printable ASCII text, as it goes into a header")
    return SecretStr(text)


def _url_safe_keys(secret: SecretStr) -> SecretStr:
    texts = _split(secret.get_secret_value())
    if not texts or not all(re.fullmatch(r"[A-Za-z0-9+/_-]{43}=?", text) for text in texts):
        raise ValueError("base64 of 32 bytes")
    return SecretStr(",".join(text[:43].replace("+", "-").replace("/", "_") + "=" for text in texts))


Secret = Annotated[SecretStr, Field(min_length=1)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_header_text)]
EncryptionKeys = Annotated[SecretStr, AfterValidator(_url_safe_keys)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    max_connections: Annotated[int, Field(ge=16)] = 16_000
    trusted_proxies: list[str] = []

    _lists = field_validator("trusted_proxies", mode="before")(_split)


class Ops(Section):
    host: str = "127.0.0.1"
    port: Port = 9090
    ready_needs: list[Literal["user_store", "redis"]] = ["user_store"]

    _lists = field_validator("ready_needs", mode="before")(_split)


class Auth(Section):
    admin_emails: list[str] = []
    nextauth_secret: Secret | None = None
    identity_ttl: Annotated[float, Field(ge=0, le=3600)] = 10
    identity_stale: Annotated[float, Field(ge=0, le=86400)] = 300
    allowed_origins: list[Annotated[str, AfterValidator(_origin)]] = []
    encryption_key: EncryptionKeys | None = None
    session_cookies: list[str] = ["__Secure-agentbot.session-token", "agentbot-session"]
    nextauth_cookies: list[str] = ["__Secure-next-auth.session-token", "next-auth.session-token"]

    _lists = field_validator(
        "admin_emails", "allowed_origins", "session_cookies", "nextauth_cookies", mode="before"
    )(_split)

    @property
    def encryption_keys(self) -> list[bytes]:
        """The keys, of 32 bytes each: the first one seals, every one opens. None without any."""
        keys = self.encryption_key
        return [base64.urlsafe_b64decode(key) for key in keys.get_secret_value().split(",")] if keys else []


class Cache(Section):
    redis_url: Secret | None = None
    prefix: str = "bff"
    max_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024

    @field_validator("redis_url")
    @classmethod
    def _readable(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                addresses.parse(url.get_secret_value()).tls_context()
            except ValueError as error:
                raise ValueError(f"a URL that can be used: {error}") from None
        return url


class Limits(Section):
    provision_per_minute: Annotated[int, Field(ge=1)] = 5
    chat_per_minute: Annotated[int, Field(ge=1)] = 30
    deployments_per_minute: Annotated[int, Field(ge=1)] = 60


class KeepTimes(Section):
    """Overrides of one plan's times, in seconds; what is not given stays as documented."""

    fresh: KeepSeconds | None = None
    stale: KeepSeconds | None = None
    on_error: KeepSeconds | None = None


class Breaker(Section):
    failures: Annotated[int, Field(ge=1)] = 5
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    volume: Annotated[int, Field(ge=1)] = 20
    open_for: Seconds = 1.0


class UserStore(Section):
    url: SecretStr = SecretStr("sqlite+aiosqlite:///demo.db")
    pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    pool_wait: Seconds = 1.0
    connect_timeout: Seconds = 1.0
    statement_timeout: Seconds = 1.5
    breaker: Breaker = Breaker()

    @field_validator("url")
    @classmethod
    def _readable(cls, url: SecretStr) -> SecretStr:
        try:
            parse(url.get_secret_value())
        except ValueError as error:
            raise ValueError(f"a URL that can be used: {error}") from None
        return url


class HttpPolicy(Section):
    """How patient the gateway is with one HTTP upstream."""

    timeout: Seconds = 1.5
    deadline: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    max_concurrency: Annotated[int, Field(ge=1)] = 64
    breaker: Breaker = Breaker()

    @property
    def policy(self) -> Policy:
        return Policy(
            timeout=self.timeout,
            deadline=self.deadline or self.timeout + 0.3,
            retries=self.retries,
            max_concurrency=self.max_concurrency,
            failures=self.breaker.failures,
            ratio=self.breaker.ratio,
            volume=self.breaker.volume,
            open_for=self.breaker.open_for,
        )

    def patient(self, deadline: float) -> Policy:
        """Return the patient policy of calls that may take ``deadline`` seconds, and are made once."""
        return replace(self.policy, timeout=deadline, deadline=deadline, retries=0, patient=True)


def _plain_http(url: str) -> str:
    return Address.parse(url).base


HttpUrl = Annotated[str, AfterValidator(_plain_http)]


def address_of(url: str | None) -> Address | None:
    """Return the address that a checked ``url`` names, None for none."""
    return None if url is None else Address.parse(url)


class HttpUpstream(HttpPolicy):
    """An upstream at one URL. ``url`` null: disabled, its sources count as down."""

    url: HttpUrl | None = None

    @property
    def address(self) -> Address | None:
        return address_of(self.url)


class Gateway(HttpUpstream):
    token: HeaderSecret | None = None
    internal_key: HeaderSecret | None = None
    deploy_deadline: Seconds = 27
    chat_deadline: Seconds = 60
    allowed_hosts: list[Annotated[str, AfterValidator(_host_pattern)]] = []

    _lists = field_validator("allowed_hosts", mode="before")(_split)


class KeyedUpstream(HttpUpstream):
    api_key: HeaderSecret | None = None


class Backend(KeyedUpstream):
    """``signing_secret`` keys the signature of who is acting; null: the API key does."""

    provision_deadline: Seconds = 30
    signing_secret: Secret | None = None


class Clerk(HttpPolicy):
    """``authorized_parties`` empty: a token may be any party's."""

    jwks_url: HttpUrl | None = None
    issuer: Annotated[str, Field(min_length=1)] | None = None
    api_url: HttpUrl | None = None
    secret_key: HeaderSecret | None = None
    authorized_parties: list[str] = []

    _lists = field_validator("authorized_parties", mode="before")(_split)


class Upstreams(Section):
    user_store: UserStore = UserStore()
    gateway: Gateway = Gateway()
    sessions: HttpUpstream = HttpUpstream()
    backend: Backend = Backend()
    metrics: KeyedUpstream = KeyedUpstream()
    codex: HttpUpstream = HttpUpstream()
    clerk: Clerk = Clerk()


class MonitoredService(Section):
    name: Annotated[str, Field(min_length=1)]
    url: str

    @field_validator("url")
    @classmethod
    def _plain_http(cls, url: str) -> str:
        Service.parse("", url)
        return url


class Log(Section):
    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"


class Settings(BaseSettings):
    """Everything that can be configured. Frozen; secrets never show in its repr or dump."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        enable_decoding=False,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    server: Server = Server()
    ops: Ops = Ops()
    auth: Auth = Auth()
    cache: Cache = Cache()
    limits: Limits = Limits()
    keep: dict[str, KeepTimes] = {}
    log: Log = Log()
    monitored_services: list[MonitoredService] = []
    upstreams: Upstreams = Upstreams()

    _json = field_validator("keep", "monitored_services", mode="before")(_parse_json)

"""The two ways a case is run: in this process, and against a ``bff serve`` on real sockets and PostgreSQL."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from bff.app import Gateway
from bff.configuration import validate
from tests.contract import clerk
from tests.contract.case import Case, merged
from tests.contract.database import PostgresStore
from tests.contract.process import Wire, serving
from tests.contract.request import NEXTAUTH_SECRET
from tests.contract.sockets import on_sockets
from tests.contract.store import rows_of
from tests.contract.upstream import name_of, names_of, router_of
from tests.contract.words import written_out
from tests.forks import Forks
from tests.stores import empty_store

METRICS_KEY = "metrics-api-key"
BACKEND_KEY = "backend-api-key"
INTERNAL_KEY = "gateway-internal-key"
SHARED_TOKEN = "shared-gateway-token"
ENCRYPTION_KEY = b64encode(bytes(range(32))).decode()
SECRETS = (METRICS_KEY, BACKEND_KEY, INTERNAL_KEY, SHARED_TOKEN, ENCRYPTION_KEY, NEXTAUTH_SECRET, clerk.SECRET_KEY)

Ask = Callable[[httpx.Request, str | None], Awaitable[httpx.Response]]


@dataclass(frozen=True)
class Running:
    """A gateway to ask, on behalf of an address; where its store is, and what its upstreams have heard."""

    ask: Ask
    store: str
    heard: list[httpx.Request]
    words: dict[str, str]


@asynccontextmanager
async def in_process(case: Case, now: datetime, folder: Path) -> AsyncIterator[Running]:
    """Run the gateway's ASGI application on a SQLite file, its upstreams behind a router."""
    urls = {name: f"http://{name}" for name in names_of(case.upstreams)}
    words = _words(urls)
    store = f"sqlite:///{folder / 'store.db'}"
    if case.store != "down":  # then nothing is there, not even a file
        async with empty_store(store) as database:
            await database.fill(rows_of(case.store, now, words))
    heard: list[httpx.Request] = []
    router = router_of(case.upstreams, words, heard)
    settings = validate(_settings(case, words, store))
    gateway = Gateway(settings, transport=httpx.MockTransport(router.async_handler))

    async def ask(request: httpx.Request, client: str | None) -> httpx.Response:
        transport = httpx.ASGITransport(gateway.public, client=(client or "127.0.0.1", 1))
        return await transport.handle_async_request(request)

    try:
        yield Running(ask, store, heard, words)
    finally:
        await gateway.close()


@asynccontextmanager
async def on_the_wire(
    case: Case, now: datetime, folder: Path, postgres: PostgresStore, forks: Forks
) -> AsyncIterator[Running]:
    """Run ``bff serve`` on PostgreSQL, its upstreams on sockets."""
    words: dict[str, str] = {}
    heard: list[httpx.Request] = []
    router = router_of(case.upstreams, words, heard)
    async with on_sockets(case.upstreams, router) as urls:
        words.update(_words(urls))
        if case.store != "down":
            await postgres.fill(rows_of(case.store, now, words))
        store = postgres.url if case.store != "down" else "postgresql://postgres@127.0.0.1:1/postgres"
        with serving(_settings(case, words, store), folder, forks) as (url, errors):
            yield Running(Wire(url).ask, store, heard, words)
        assert '"unexpected"' not in errors.read_text(encoding="utf-8")


def _words(urls: Mapping[str, str]) -> dict[str, str]:
    hosts = {f"<{name} host>": url.removeprefix("http://") for name, url in urls.items()}
    return hosts | {f"<{name} url>": url for name, url in urls.items()}


def _settings(case: Case, words: Mapping[str, str], store: str) -> dict[str, Any]:
    state = case.upstreams

    def url(name: str) -> str | None:
        return None if state.get(name) == "not configured" else words[f"<{name} url>"]

    upstreams: dict[str, dict[str, Any]] = {
        "user_store": {"url": store},
        "gateway": {"url": url("gateway"), "token": SHARED_TOKEN, "internal_key": INTERNAL_KEY},
        "metrics": {"url": url("metrics"), "api_key": METRICS_KEY},
        "backend": {"url": url("backend"), "api_key": BACKEND_KEY},
    }
    upstreams |= {name: {"url": url(name)} for name in ("sessions", "codex") if name in state}
    if state.get("clerk", "not configured") != "not configured":
        upstreams["clerk"] = _clerk(words["<clerk url>"])
    proxies = ["127.0.0.1"] if any(step.client for step in case.steps) else []
    settings = {
        "server": {"port": 0, "trusted_proxies": proxies},
        "ops": {"port": 0},
        "auth": {
            "admin_emails": [" Admin@Example.com", "second@example.com"],
            "nextauth_secret": NEXTAUTH_SECRET,
            "encryption_key": ENCRYPTION_KEY,
            "allowed_origins": ["https://app.example.com"],
        },
        "monitored_services": [
            {"name": service, "url": f"{url(name_of(service))}/health"} for service in state.get("services", {})
        ],
        "upstreams": upstreams,
    }
    return merged(settings, written_out(case.settings, words))


def _clerk(url: str) -> dict[str, Any]:
    return {
        "jwks_url": url + clerk.JWKS,
        "issuer": clerk.ISSUER,
        "api_url": url,
        "secret_key": clerk.SECRET_KEY,
        "authorized_parties": [clerk.PARTY],
    }

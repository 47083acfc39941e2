"""Everything the soak runs on: the pretend platform, real databases, what stands between, and two replicas."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from demo import gateway
from demo.platform import Platform, Ports
from demo.upstream import Upstream
from tests.faults.proxy import Proxy, proxy
from tests.redis_servers import RedisServer
from tests.servers import PostgresServer
from tests.soak.pretend import populate
from tests.soak.replicas import Replica
from tests.soak.users import User, fill
from tests.stores import Database, empty_store

REPLICAS: Final = ("a", "b")
HTTP: Final = ("gateway", "sessions", "metrics", "backend", "codex", "clerk")
OFTEN: Final = 1_000_000

# A chat or a deployment that hangs is given up sooner than a spell of bad weather and the calm after it last.
_PATIENCE_SECONDS: Final = 6


@dataclass(frozen=True)
class World:
    """``proxies`` by what is behind them: upstreams, ``user_store``, and each replica's way to Redis."""

    users: Sequence[User]
    upstreams: Mapping[str, Upstream]
    proxies: Mapping[str, Proxy]
    postgres: PostgresServer
    redis: RedisServer
    database: Database
    replicas: Sequence[Replica]


@asynccontextmanager
async def world(users: list[User], folder: Path) -> AsyncIterator[World]:
    """Run everything; when left, all of it has ended."""
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(Platform(Ports.free()))
        sessions = Upstream("sessions", gateway.routes(datetime.now(UTC)), gateway.PAGE, host="127.0.0.1", port=0)
        await sessions.open()
        stack.push_async_callback(sessions.close)
        upstreams = {name: platform.upstreams[name] for name in HTTP if name != "sessions"} | {
            "sessions": sessions
        }
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer())
        proxies = {name: await _before(stack, upstreams[name].url) for name in HTTP}
        proxies["user_store"] = await _before(stack, postgres.url)
        proxies |= {f"redis {name}": await _before(stack, redis.url) for name in REPLICAS}
        populate(platform, sessions, users)
        database = await stack.enter_async_context(empty_store(postgres.url))
        await fill(database, users, _url(proxies["gateway"]))
        settings = _settings(platform, proxies, users[0])
        replicas = [Replica(name, _with_redis(settings, proxies, name), folder) for name in REPLICAS]
        for replica in replicas:
            stack.push_async_callback(replica.close)
        await asyncio.gather(*(replica.start() for replica in replicas))
        yield World(users, upstreams, proxies, postgres, redis, database, replicas)


async def _before(stack: AsyncExitStack, url: str) -> Proxy:
    port = urlsplit(url).port
    assert port is not None
    return await stack.enter_async_context(proxy(port))


def _url(between: Proxy) -> str:
    return f"http://127.0.0.1:{between.port}"


def _settings(platform: Platform, proxies: Mapping[str, Proxy], admin: User) -> dict[str, Any]:
    settings = platform.settings(Path("unused"))
    upstreams = settings["upstreams"]
    for name in ("gateway", "metrics", "backend", "codex"):
        upstreams[name]["url"] = _url(proxies[name])
    upstreams["gateway"] |= {"chat_deadline": _PATIENCE_SECONDS, "deploy_deadline": _PATIENCE_SECONDS}
    upstreams["sessions"] = {"url": _url(proxies["sessions"])}
    jwks = urlsplit(upstreams["clerk"]["jwks_url"]).path
    upstreams["clerk"] |= {"jwks_url": _url(proxies["clerk"]) + jwks, "api_url": _url(proxies["clerk"])}
    store = f"postgresql://postgres@127.0.0.1:{proxies['user_store'].port}/postgres"
    upstreams["user_store"] = {"url": store}
    settings["auth"]["admin_emails"] = [f"{admin.mark}@example.com"]
    return settings | {"log": {"level": "warning"}}


def _with_redis(settings: dict[str, Any], proxies: Mapping[str, Proxy], name: str) -> dict[str, Any]:
    return settings | {"cache": {"redis_url": f"redis://127.0.0.1:{proxies[f'redis {name}'].port}/0"}}

"""What provisioning is tried with: a shared gateway that deploys when it is told to, and users who ask."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from starlette.types import Receive, Scope, Send

from bff.app import Gateway
from bff.configuration import validate
from demo.asgi import json_answer, whole_body
from demo.listener import Listener
from tests.stores import Database, Row, session_row, user_row
from upstreams.user_store import tables

PATH = "/api/agents/provision"
ADMIN_EMAIL = "admin@example.com"


class Deployments:
    """Deploys every agent, at once or, while it is ``hold``ing, when it is told to ``release``.

    ``heard`` are the ids of the agents, once for each time that one was to be deployed.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._free = asyncio.Event()
        self._free.set()
        self._listener = Listener(self, "127.0.0.1", 0)

    def hold(self) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    @property
    def url(self) -> str:
        return self._listener.url

    async def __aenter__(self) -> "Deployments":
        await self._listener.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        await self._listener.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        order = json.loads(await whole_body(receive))
        self.heard.append(order["agentId"])
        await self._free.wait()
        await json_answer({"gatewayId": f"gw_{order['agentId']}"})(scope, receive, send)

    def settings(self, store: str, *, patience: float = 20, **gateway: Any) -> dict[str, Any]:
        """Return the configuration of one that deploys here; ``gateway`` are further keys of that upstream.

        ``patience`` in seconds is that with the store, long because no crowd is to find this machine too slow.
        """
        return {
            "auth": {"admin_emails": [ADMIN_EMAIL], "identity_ttl": 3600},
            "upstreams": {
                "user_store": {"url": store, "statement_timeout": patience, "pool_wait": patience},
                "gateway": {"url": self.url, "internal_key": "key", "max_concurrency": 1000, **gateway},
            },
        }


class Caller:
    """A user who asks the gateway at ``url``."""

    def __init__(self, client: httpx.AsyncClient, url: str, user: str) -> None:
        self._client = client
        self._url = url + PATH
        self._cookie = session_of(user)

    async def provision(self, key: str | None = None, name: str = "n", **fields: Any) -> httpx.Response:
        """Ask for an agent; ``key`` is the Idempotency-Key."""
        headers = self._cookie | ({} if key is None else {"Idempotency-Key": key})
        return await self._client.post(self._url, json={"name": name, **fields}, headers=headers)

    async def statuses(self) -> list[str] | None:
        """Return the status of each agent in the list, None when there is no list."""
        answer = await self._client.get(self._url, headers=self._cookie)
        if answer.status_code != 200:
            return None
        return [agent["status"] for agent in answer.json()["agents"]]


@asynccontextmanager
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


@asynccontextmanager
async def provisioning(store: str, deployments: Deployments, **settings: Any) -> AsyncIterator[Caller]:
    """Run a gateway in this process, on a port; yield the user ``u`` who asks it."""
    built = Gateway(validate(deployments.settings(store, **settings)))
    listener = Listener(built.public, "127.0.0.1", 0)
    await listener.open()
    try:
        async with http() as client:
            yield Caller(client, listener.url, "u")
    finally:
        await listener.close()
        await built.close()


async def add_user(database: Database, user: str = "u", **fields: Any) -> None:
    """Add a user with a session, who may provision unless ``fields`` say otherwise."""
    await database.add(
        tables.user, user_row(user, **{"plan": "starter", "subscriptionStatus": "active", **fields})
    )
    await database.add(tables.session, session_row(_token(user), user, datetime(2999, 1, 1, tzinfo=UTC)))


async def agents(database: Database) -> list[Row]:
    return await database.rows(tables.agent)


async def let_time_pass(database: Database) -> None:
    """Have all agents be as they are for longer than any deployment takes."""
    at = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None)
    await database.run('UPDATE "Agent" SET "updatedAt" = :at', at=at)


def session_of(user: str) -> dict[str, str]:
    """Return the header that carries the user's session."""
    return {"Cookie": f"agentbot-session={_token(user)}"}


def _token(user: str) -> str:
    return f"session-of-{user}"

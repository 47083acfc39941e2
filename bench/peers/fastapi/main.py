"""The peer on FastAPI: `uvicorn main:app`, settings in the environment."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
from cachetools import TTLCache
from fastapi import Cookie, Depends, FastAPI, Header, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import create_async_engine

PEERS = Path(__file__).parent.parent
SESSION = text((PEERS / "session.sql").read_text())
INVENTORY = text((PEERS / "inventory.sql").read_text())
SHARED_GATEWAY = os.environ["GATEWAY_URL"]
SHARED_TOKEN = os.environ["GATEWAY_TOKEN"]
SESSIONS_LIST = {"tool": "sessions_list", "args": {"limit": 50, "messageLimit": 0}}

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
RANGES = {"30": 30, "90": 90, "180": 180, "365": 365}
CHANNELS = ["Webchat", "Telegram", "Discord", "WhatsApp", "iMessage"]
BY_WORD = {name.lower(): name for name in CHANNELS}
ELSEWHERE = {"cron", "subagent", "slack"}
DIRECT = {"openai", "openai-user", "direct", "dm"}

# Reads need no transaction around them; without one the database is asked once instead of three times.
engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    pool_size=10,
    max_overflow=0,  # what overflows is connected anew each time
    isolation_level="AUTOCOMMIT",
)
# The default pool: one with room for every connection is slower, httpx looks at each idle one for each request.
client = httpx.AsyncClient(timeout=1.5, trust_env=False)
callers: TTLCache[str, "Caller"] = TTLCache(maxsize=20_000, ttl=10)
answers: TTLCache[tuple[str, int], bytes] = TTLCache(maxsize=10_000, ttl=30)


class Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class Overview(Document):
    deployed_agents: int
    live_agents: int
    installed_skills: int
    scheduled_tasks: int
    connected_channels: int
    channel_messages: int


class TrendBucket(Document):
    label: str
    deployments: int
    skills: int
    tasks: int


class TopSkill(Document):
    name: str
    installs: int


class Channel(Document):
    name: str
    messages: int
    last_active: str | None
    status: str


class Sources(Document):
    gateway: str
    sessions: str


class Analytics(Document):
    overview: Overview
    trend: list[TrendBucket]
    top_skills: list[TopSkill]
    channels: list[Channel]
    source: Sources


class Caller(NamedTuple):
    user_id: str
    gateway: str
    token: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.aclose()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def current_user(
    session: Annotated[str | None, Cookie(alias="agentbot-session")] = None,
) -> Caller:
    if session is None:
        raise HTTPException(401, "Unauthorized")
    caller = callers.get(session)
    if caller is None:
        rows = await ask(SESSION, token=session, now=datetime.now(UTC).replace(tzinfo=None))
        if not rows:
            raise HTTPException(401, "Unauthorized")
        user_id, url, token = rows[0]
        caller = callers[session] = Caller(user_id, url or SHARED_GATEWAY, token or SHARED_TOKEN)
    return caller


@app.get("/api/dashboard/analytics", response_model=Analytics)
async def get_analytics(
    caller: Annotated[Caller, Depends(current_user)],
    range_: Annotated[str, Query(alias="range")] = "180",
    cache_control: Annotated[str | None, Header()] = None,
) -> Response:
    days = RANGES.get(range_, 180)
    key = (caller.user_id, days)
    body = None if cache_control == "no-cache" else answers.get(key)
    if body is None:
        body = answers[key] = (await analytics(caller, days)).model_dump_json().encode()
    return Response(body, media_type="application/json")


async def analytics(caller: Caller, days: int) -> Analytics:
    now = datetime.now(UTC).replace(tzinfo=None)
    since = now - timedelta(days=days)
    rows, alive, sessions = await asyncio.gather(
        ask(INVENTORY, user_id=caller.user_id, since=since, until=now),
        gateway_alive(caller),
        list_sessions(caller),
    )
    counted = channels(sessions or [], alive)
    skills = [row for row in rows if row.kind == "skills"]
    agents = [row for row in rows if row.kind == "agents"]
    tasks = [row for row in rows if row.kind == "tasks"]
    return Analytics(
        overview=Overview(
            deployed_agents=sum(row.number for row in agents),
            live_agents=sum(row.marked for row in agents),
            installed_skills=sum(row.marked for row in skills),
            scheduled_tasks=sum(row.number for row in tasks),
            connected_channels=sum(channel.status == "connected" for channel in counted),
            channel_messages=sum(channel.messages for channel in counted),
        ),
        trend=trend(agents, skills, tasks, since, now),
        top_skills=[TopSkill(name=row.name, installs=row.number) for row in rows if row.kind == "top"],
        channels=counted,
        source=Sources(
            gateway="live" if alive else "unreachable", sessions="unavailable" if sessions is None else "live"
        ),
    )


async def ask(statement: TextClause, **parameters: Any) -> list[Row[Any]]:
    async with engine.connect() as connection:
        return list((await connection.execute(statement, parameters)).all())


async def gateway_alive(caller: Caller) -> bool:
    try:
        response = await client.get(f"{caller.gateway}/healthz")
        return response.is_success and response.json()["ok"] is True
    except (httpx.HTTPError, ValueError, KeyError):
        return False


async def list_sessions(caller: Caller) -> list[dict[str, Any]] | None:
    try:
        response = await client.post(
            f"{caller.gateway}/tools/invoke",
            json=SESSIONS_LIST,
            headers={"authorization": f"Bearer {caller.token}"},
        )
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["result"]["details"]["sessions"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return found


def trend(
    agents: list[Row[Any]], skills: list[Row[Any]], tasks: list[Row[Any]], since: datetime, now: datetime
) -> list[TrendBucket]:
    by_month = [{row.month: row.number for row in rows} for rows in (agents, skills, tasks)]
    return [
        TrendBucket(
            label=MONTHS[month % 12],
            deployments=by_month[0].get(month, 0),
            skills=by_month[1].get(month, 0),
            tasks=by_month[2].get(month, 0),
        )
        for month in range(since.year * 12 + since.month - 1, now.year * 12 + now.month)
    ]


def channels(sessions: list[dict[str, Any]], alive: bool) -> list[Channel]:
    belonging: dict[str, list[dict[str, Any]]] = {name: [] for name in CHANNELS}
    for session in sessions:
        if (name := channel_of(session)) is not None:
            belonging[name].append(session)
    return [channel(name, belonging[name], alive) for name in CHANNELS]


def channel(name: str, sessions: list[dict[str, Any]], alive: bool) -> Channel:
    if name == "Webchat":
        status = "connected" if alive else "unreachable"
    else:
        status = "connected" if sessions else "not-configured"
    newest = max((session["updatedAt"] for session in sessions if session.get("updatedAt")), default=None)
    return Channel(
        name=name,
        messages=sum(messages_in(session) for session in sessions),
        last_active=None if newest is None else iso(newest),
        status=status,
    )


def channel_of(session: dict[str, Any]) -> str | None:
    key = session["key"]
    rest = ":".join(key.split(":")[2:]) if key.startswith("agent:") else key
    first = rest.partition(":")[0].lower()
    if first in ELSEWHERE:
        return None
    if first in BY_WORD:
        return BY_WORD[first]
    for word in (session.get("channel"), session.get("lastChannel")):
        if word and word != "unknown":
            return BY_WORD.get(word.lower())
    return "Webchat" if rest == "main" or first in DIRECT else None


def messages_in(session: dict[str, Any]) -> int:
    return int(session.get("messageCount", session.get("turns", len(session.get("messages", ())))))


def iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

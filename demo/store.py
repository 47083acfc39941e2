"""The pretend platform's database: the same rows for the same moment, in SQLite or any other database."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert

from demo.people import ADA, ADMIN, PEOPLE, Agent, Person
from upstreams.user_store import tables

DEMO_TOKEN = ADA.session_token
ADMIN_TOKEN = ADMIN.session_token
EXPIRED_TOKEN = "demo-session-expired"
ORPHAN_TOKEN = "demo-session-orphan"  # of a user who is not in the store

Row = dict[str, Any]

_SKILLS = {
    "weather": "lifestyle",
    "web-search": "research",
    "calendar": "productivity",
    "email-digest": "productivity",
    "code-review": "engineering",
    "incident-watch": "engineering",
    "price-tracker": "finance",
    "invoice-reader": "finance",
    "translate": "language",
    "summarize": "language",
    "playlist": "lifestyle",
    "news-brief": "research",
}
_TASKS = ("daily-report", "inbox-sweep", "backup", "weekly-digest", "price-check")
_REFERRED = {"user_ada": ("user_carol", "user_dan", "user_erin"), "user_bob": ("user_frank",)}


def create(path: Path, now: datetime, gateway_url: str) -> None:
    """Create the SQLite file anew and seed it; ``gateway_url`` is that of the users with their own gateway."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            tables.metadata.create_all(connection)
            seed(connection, now, gateway_url)
    finally:
        engine.dispose()


def seed(connection: Connection, now: datetime, gateway_url: str = "http://127.0.0.1:9101") -> None:
    """Insert the rows as of ``now`` (aware) into empty tables that exist."""
    for table, rows in rows_of(now, gateway_url):
        connection.execute(insert(table), rows)


def rows_of(now: datetime, gateway_url: str) -> list[tuple[Table, list[Row]]]:
    """Return the rows of each table, in an order that foreign keys allow."""
    agents = [(person, agent) for person in PEOPLE for agent in person.agents]
    return [
        (tables.user, [_user(person, now, gateway_url) for person in PEOPLE]),
        (tables.session, _sessions(now)),
        (tables.agent, [_agent(person, agent, now) for person, agent in agents]),
        (tables.skill, _skills()),
        (tables.installed_skill, [row for owned in agents for row in _installed(*owned, now)]),
        (tables.scheduled_task, [row for owned in agents for row in _tasks(*owned, now)]),
        (tables.referral, _referrals(now)),
        (tables.agent_registration, _registrations(now)),
    ]


def _moment(now: datetime, **ago: float) -> datetime:
    """Return the moment so long before ``now`` as the CamelCase tables keep it: naive UTC, milliseconds."""
    moment = now.astimezone(UTC).replace(tzinfo=None) - timedelta(**ago)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _user(person: Person, now: datetime, gateway_url: str) -> Row:
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "plan": person.plan,
        "subscriptionStatus": person.subscription,
        "subscriptionStartDate": _moment(now, days=90) if person.subscription == "active" else None,
        "trialEndsAt": None if person.trial_days is None else _moment(now, days=-person.trial_days),
        "openclawUrl": gateway_url if person.own_gateway else None,
        "openclawInstanceId": person.instance_id,
        "referralCode": f"REF_{person.name.lower()}" if person.plan else None,
        "referralCredits": person.referral_credits,
    }


def _sessions(now: datetime) -> list[Row]:
    live = [(person.session_token, person.id, -30) for person in PEOPLE]
    dead = [(EXPIRED_TOKEN, ADA.id, 1), (ORPHAN_TOKEN, "user_gone", -30)]
    return [
        {"id": f"session_{number:02}", "sessionToken": token, "userId": user, "expires": _moment(now, days=ago)}
        for number, (token, user, ago) in enumerate(live + dead)
    ]


def _agent(person: Person, agent: Agent, now: datetime) -> Row:
    deployed = agent.status not in ("pending", "provisioning")
    config = {"model": agent.model, "temperature": 0.7}
    if person.token_kept_in == "agent":
        config["gatewayToken"] = str(person.gateway_token)
    return {
        "id": agent.id,
        "userId": person.id,
        "name": agent.name,
        "model": agent.model,
        "status": agent.status,
        "websocketUrl": f"ws://127.0.0.1/agent/{person.id}" if deployed else None,
        "config": config if deployed else None,
        "createdAt": _moment(now, days=agent.days_old),
        "updatedAt": _moment(now, hours=min(agent.hours_since_change, agent.days_old * 24)),
        "tier": person.plan,
    }


def _skills() -> list[Row]:
    return [
        {"id": f"skill_{name}", "name": name, "description": f"What {name} does.", "category": category}
        for name, category in _SKILLS.items()
    ]


def _installed(person: Person, agent: Agent, now: datetime) -> list[Row]:
    chance = random.Random(f"skills {agent.id}")
    names = chance.sample(sorted(_SKILLS), chance.randrange(2, 9)) if agent.status != "pending" else []
    return [
        {
            "id": f"installed_{agent.id}_{name}",
            "userId": person.id,
            "agentId": agent.id,
            "skillId": f"skill_{name}",
            "enabled": chance.random() < 0.75,
            "createdAt": _moment(now, days=chance.uniform(0, agent.days_old)),
        }
        for name in names
    ]


def _tasks(person: Person, agent: Agent, now: datetime) -> list[Row]:
    chance = random.Random(f"tasks {agent.id}")
    names = chance.sample(_TASKS, chance.randrange(1, 5)) if agent.status != "pending" else []
    return [
        {
            "id": f"task_{agent.id}_{name}",
            "userId": person.id,
            "agentId": agent.id if chance.random() < 0.8 else None,
            "name": name,
            "enabled": chance.random() < 0.75,
            "createdAt": _moment(now, days=chance.uniform(0, agent.days_old)),
        }
        for name in names
    ]


def _referrals(now: datetime) -> list[Row]:
    return [
        {
            "id": f"referral_{referred}",
            "referrerId": referrer,
            "referredId": referred,
            "createdAt": _moment(now, days=20 * number),
        }
        for referrer, those in _REFERRED.items()
        for number, referred in enumerate(those, 1)
    ]


def _registrations(now: datetime) -> list[Row]:
    return [
        {
            "user_id": person.id,
            "gateway_token": person.gateway_token,
            "registered_at": now - timedelta(days=max(agent.days_old for agent in person.agents)),
            "status": "active",
        }
        for person in PEOPLE
        if person.token_kept_in == "registration"
    ]

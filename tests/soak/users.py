"""The users of the soak: what is each one's own, and what each has written last."""

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from tests.soak.marks import mark
from tests.stores import (
    NEW_YEAR,
    Database,
    agent_row,
    installed_row,
    session_row,
    skill_row,
    user_row,
    utc,
)
from upstreams.user_store import tables

AGENTS: Final = 2
SKILLS: Final = ("reads", "sums", "talks")
ORGANIZATIONS: Final = 5
CREDENTIALS: Final = ("anthropic", "telegram")
TOPIC: Final = "soak"

# What is written while nobody tells whether it was may still happen for so long: as long as any fault holds it up.
_DOUBT_SECONDS: Final = 25.0
_ASK_SECONDS: Final = 1.0


class Thing:
    """Something a user can write: what must be read, since when, and which process (any object) wrote it."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._doubtful_until = 0.0
        self._is_doubtful = False
        self.written_at = float("-inf")
        self.writer: object = None

    @property
    def value(self) -> Any:
        return self._value

    @property
    def is_known(self) -> bool:
        return not self._is_doubtful

    def written(self, value: Any, *, now: float, writer: object) -> None:
        """Note a write that was confirmed; while an earlier one may still happen it settles nothing."""
        if now >= self._doubtful_until:
            self._is_doubtful = False
        self._value, self.written_at, self.writer = value, now, writer

    def doubt(self, now: float) -> None:
        """Note a write of which nobody can tell whether it was done, or will be."""
        self._is_doubtful = True
        self._doubtful_until = now + _DOUBT_SECONDS


@dataclass(eq=False)
class User:
    number: int
    clerk_token: str = ""
    agents_total: Thing = field(default_factory=lambda: Thing(AGENTS))
    skills: dict[str, Thing] = field(default_factory=lambda: {name: Thing(True) for name in SKILLS})
    credentials: dict[str, Thing] = field(default_factory=lambda: {name: Thing(False) for name in CREDENTIALS})
    config: Thing = field(default_factory=lambda: Thing(None))
    verified: Thing = field(default_factory=lambda: Thing(False))
    status: Thing = field(default_factory=lambda: Thing("running"))
    said: Thing = field(default_factory=lambda: Thing(None))

    @cached_property
    def mark(self) -> str:
        return mark(self.number)

    @property
    def id(self) -> str:
        return f"user-{self.mark}"

    @property
    def session(self) -> str:
        return f"session-{self.mark}"

    @property
    def agent(self) -> str:
        """The id of the agent that is the user's instance, too."""
        return f"agent-{self.mark}-0"

    @property
    def other_agent(self) -> str:
        """The id of an agent that is never stopped."""
        return f"agent-{self.mark}-1"

    @property
    def codex_session(self) -> str:
        return f"codex-{self.mark}"

    @property
    def organization(self) -> int:
        return self.number % ORGANIZATIONS

    @property
    def is_organization_admin(self) -> bool:
        return self.number // ORGANIZATIONS % 5 == 0

    @property
    def tasks(self) -> int:
        """How many tasks the user has: nobody else has as many."""
        return self.number

    @property
    def gateway_token(self) -> str | None:
        """The user's own token of the gateway; every fifth user has none and shares the platform's."""
        return None if self.number // 3 % 5 == 0 else f"gateway-{self.mark}"

    def skill_id(self, name: str) -> str:
        return f"skill-{self.mark}-{name}"


async def fill(database: Database, users: list[User], gateway_url: str) -> None:
    """Put the users into empty tables; every third has a gateway of the user's own, at ``gateway_url``."""
    await database.add(tables.user, *(_user(user, gateway_url) for user in users))
    await database.add(tables.session, *(session_row(user.session, user.id, utc(2999, 1, 1)) for user in users))
    await database.add(tables.agent, *(row for user in users for row in _agents(user)))
    skills = [(user, user.skill_id(name)) for user in users for name in SKILLS]
    await database.add(tables.skill, *(skill_row(skill, skill, f"of {user.mark}") for user, skill in skills))
    await database.add(tables.installed_skill, *(installed_row(user.id, skill) for user, skill in skills))
    await database.add(
        tables.agent_registration,
        *(
            {
                "user_id": user.id,
                "gateway_token": user.gateway_token,
                "registered_at": NEW_YEAR,
                "status": "active",
            }
            for user in users
            if user.gateway_token
        ),
    )
    for user in users:
        await database.run(
            'INSERT INTO "ScheduledTask" (id, "userId", name, enabled, "createdAt") '
            f"SELECT 'task-{user.mark}-' || n, '{user.id}', 't', true, '2026-01-01' "
            f"FROM generate_series(1, {user.tasks}) AS n"
        )
    await database.run("ANALYZE")
    # The tests' server forgets what it has just confirmed when it is stopped; this one may not.
    await database.run("ALTER DATABASE postgres SET synchronous_commit TO on")


async def agents_of(database: Database, user: User) -> list[tuple[str, str]] | None:
    """Return name and status of each of the user's agents, None when the database cannot tell."""
    agent = tables.agent.c
    try:
        async with asyncio.timeout(_ASK_SECONDS), database._engine.begin() as connection:
            found = await connection.execute(select(agent.name, agent.status).where(agent.userId == user.id))
            return [(name, status) for name, status in found]
    except (TimeoutError, OSError, SQLAlchemyError):
        return None


def _user(user: User, gateway_url: str) -> dict[str, Any]:
    return user_row(
        user.id,
        name=user.mark,
        email=f"{user.mark}@example.com",
        plan="network",
        subscriptionStatus="active",
        openclawInstanceId=user.agent,
        openclawUrl=gateway_url if user.number % 3 == 0 else None,
        referralCode=f"ref-{user.mark}",
        referralCredits=user.number,
    )


def _agents(user: User) -> list[dict[str, Any]]:
    return [
        agent_row(f"agent-{user.mark}-{number}", user.id, name=f"{user.mark} {number}", tier="pro")
        for number in range(AGENTS)
    ]

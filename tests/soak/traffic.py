"""What visitors do, one thing after the other, each for one of their users."""

import asyncio
import time
from typing import Final

from tests.soak.guests import GUESTS
from tests.soak.questions import any_question
from tests.soak.users import User
from tests.soak.visitor import Visitor
from tests.soak.writes import WRITES

_THINK_SECONDS: Final = 0.12  # on average


async def visit(visitor: Visitor, until: float) -> None:
    """Do things until that moment (monotonic clock)."""
    chance = visitor.chance
    while time.monotonic() < until:
        await asyncio.sleep(chance.expovariate(1 / _THINK_SECONDS))
        user, kind = chance.choice(visitor.users), chance.random()
        if kind < 0.80:
            await _look(visitor, user)
        elif kind < 0.90:
            await chance.choice(WRITES)(visitor, user)
        else:
            await chance.choice(GUESTS)(visitor, user)


async def _look(visitor: Visitor, user: User) -> None:
    question, kind = any_question(visitor.chance, user), visitor.chance.random()
    if kind < 0.08:
        await visitor.ask(question, user, "Cache-Control: no-cache")
    elif kind < 0.12:
        await asyncio.gather(*(visitor.ask(question, user) for _ in range(4)))
    else:
        reply = await visitor.ask(question, user)
        if kind < 0.25 and reply.etag is not None:
            await visitor.ask(question, user, f"If-None-Match: {reply.etag}")

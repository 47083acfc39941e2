"""Everybody but a well-behaved user: strangers, forgers, and those who leave, dawdle or say nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bff.plans import Operation
from tests.soak.ledger import Kind, Wrong
from tests.soak.marks import others
from tests.soak.questions import OPERATIONS, QUESTIONS, Question, any_question, cookie
from tests.soak.users import User
from tests.soak.visitor import Visitor, request
from tests.soak.writes import write

_IDLE_SECONDS: Final = (2.0, 8.0)
_HALF_A_HEAD_SECONDS: Final = 3.0

Scene = Callable[[Visitor, User], Awaitable[None]]


async def stranger(visitor: Visitor, user: User) -> None:
    """Ask without saying who asks, as nobody, or with a session that is nearly the user's."""
    question = any_question(visitor.chance, user)
    forged = visitor.chance.choice(
        (
            "Accept: */*",
            f"Cookie: agentbot-session={user.session[:-1]}",
            f"Cookie: agentbot-session={user.session}x; __Secure-agentbot.session-token={user.id}",
            f"Authorization: Bearer {user.clerk_token[:-8]}AAAAAAAA",
            f"X-User-Id: {user.id}",
        )
    )
    await _refused(visitor, question.plan, request("GET", question.path(user), forged), 401, 403)


async def intruder(visitor: Visitor, user: User) -> None:
    """Ask for what is somebody else's."""
    other = visitor.chance.choice([each for each in visitor.users if each is not user])
    name = visitor.chance.choice(
        ("agents.detail", "agents.config", "agents.logs", "instance.details", "instance.token")
    )
    question = QUESTIONS[name]
    await _refused(visitor, question.plan, request("GET", question.path(other), cookie(user)), 403, 404)
    if user.number:
        summary = request("GET", "/api/admin/summary", cookie(user))
        await _refused(visitor, OPERATIONS["admin.summary"], summary, 403)


async def pretender(visitor: Visitor, user: User) -> None:
    """Ask with the user's own session and another one's id: it is the session's answer."""
    other = visitor.chance.choice(visitor.users)
    question = any_question(visitor.chance, user)
    await visitor.ask(question, user, f"X-User-Id: {other.id}", f"X-Forwarded-User: {other.id}")


async def mistaken(visitor: Visitor, user: User) -> None:
    """Write what cannot be taken."""
    body = visitor.chance.choice((b"{", b"[]", b'{"message": 5}', b'{"message": ""}', b'"\\u0000"'))
    head = request("POST", "/api/chat", cookie(user), f"Content-Length: {len(body)}")
    await _refused(visitor, OPERATIONS["chat.send"], head + body, 400)


async def _refused(visitor: Visitor, operation: Operation[Any], asked: bytes, *statuses: int) -> None:
    await visitor.tell(operation, None, asked, refusals=frozenset(statuses))


async def leave(visitor: Visitor, user: User) -> None:
    """Ask and go away before the answer, or in the middle of it, while others wait for the same."""
    question = any_question(visitor.chance, user)
    asked = request("GET", question.path(user), question.credential(user), "Cache-Control: no-cache")
    others_waiting = [asyncio.create_task(visitor.ask(question, user)) for _ in range(visitor.chance.randrange(3))]
    await _leave(visitor, user, question, asked)
    await asyncio.gather(*others_waiting)


async def leave_a_stream(visitor: Visitor, user: User) -> None:
    document = {"topic": "left", "message": f"something of {user.mark}"}
    asked = request("POST", "/api/chat", cookie(user), "Accept: text/event-stream", document=document)
    await _leave(visitor, user, QUESTIONS["chat.messages"], asked)


async def _leave(visitor: Visitor, user: User, question: Question, asked: bytes) -> None:
    began = time.monotonic()
    _, connection = await visitor.around.balancer.connect()
    try:
        await connection.send(asked)
        await asyncio.sleep(visitor.chance.choice((0.0, 0.001, 0.004, 0.02)))
        if visitor.chance.random() < 0.5:
            async with asyncio.timeout(1.0):
                arrived = await connection.arrived(visitor.chance.randrange(1, 2000))
            if question.is_private and others(arrived, user.number):
                visitor.wrong(began, Wrong.FOREIGN, f"{question.name}: {user.mark} left with bytes of others")
    except (OSError, TimeoutError):
        pass  # nothing was waited for
    finally:
        connection.abort()
    visitor.count(began, Kind.LEFT)


async def dawdle(visitor: Visitor, user: User) -> None:
    """Say things slowly and listen slowly."""
    pause = visitor.chance.uniform(0.1, 0.6)
    document = {"action": "create-session"}
    await write(visitor, user, "agent.create-session", document, pause=pause)


async def idle(visitor: Visitor, user: User) -> None:
    """Be connected and silent for a while, then ask, unless the replica is leaving."""
    began = time.monotonic()
    life, connection = await visitor.around.balancer.connect()
    await asyncio.sleep(visitor.chance.uniform(*_IDLE_SECONDS))
    if life.takes_requests and connection.is_open:
        life.keep(connection)
        await visitor.ask(any_question(visitor.chance, user), user, via=life.name)
    else:
        connection.abort()
        visitor.count(began, Kind.LEFT)


async def say_half(visitor: Visitor, user: User) -> None:
    """Send half a request, and never the rest."""
    began = time.monotonic()
    _, connection = await visitor.around.balancer.connect()
    try:
        await connection.send(request("GET", "/api/dashboard/data", cookie(user))[:-10])
        await asyncio.sleep(_HALF_A_HEAD_SECONDS)
    except OSError:
        pass  # the replica went away
    finally:
        connection.abort()
    visitor.count(began, Kind.LEFT)


GUESTS: Final[tuple[Scene, ...]] = (
    *(stranger, stranger, intruder, intruder, pretender, mistaken),
    *(leave, leave, leave, leave_a_stream, leave_a_stream),
    *(dawdle, idle, say_half),
)

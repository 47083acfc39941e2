"""Users who write something, and then look whether they read it, at either replica."""

import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bff.plans import Action
from tests.soak.judge import last_event
from tests.soak.ledger import Kind, Wrong
from tests.soak.questions import OPERATIONS, QUESTIONS, bearer, cookie
from tests.soak.users import CREDENTIALS, SKILLS, TOPIC, Thing, User, agents_of
from tests.soak.visitor import Reply, Visitor, request
from tests.soak.world import REPLICAS

_STREAM: Final = "Accept: text/event-stream"
_numbers: Final = itertools.count(1)

Scene = Callable[[Visitor, User], Awaitable[None]]


async def switch_skill(visitor: Visitor, user: User) -> None:
    name = visitor.chance.choice(SKILLS)
    thing, enabled = user.skills[name], not user.skills[name].value
    document = {"action": "update-skill", "skillId": user.skill_id(name), "enabled": enabled}
    settle(thing, enabled, await write(visitor, user, "agent.update-skill", document))
    await _read_everywhere(visitor, user, "dashboard.analytics", "agent.skills")


async def set_credential(visitor: Visitor, user: User) -> None:
    name = visitor.chance.choice(CREDENTIALS)
    document = {"action": "set-credential", "key": name, "value": f"secret of {user.mark}"}
    settle(user.credentials[name], True, await write(visitor, user, "agent.set-credential", document))
    await _read_everywhere(visitor, user, "agent.credentials")


async def configure(visitor: Visitor, user: User) -> None:
    number = next(_numbers)
    document = {"soak": number, "owner": user.mark}
    settle(user.config, number, await write(visitor, user, "agents.config.update", document))
    await _read_everywhere(visitor, user, "agents.config")


async def verify(visitor: Visitor, user: User) -> None:
    document = {"verificationType": "eas", "attestationUid": f"0x{user.mark}"}
    given = (document, True) if not user.verified.value else (None, False)
    name = "agents.verify" if given[1] else "agents.unverify"
    settle(user.verified, given[1], await write(visitor, user, name, given[0]))
    await _read_everywhere(visitor, user, "agents.verification", "agents.detail")


async def order(visitor: Visitor, user: User) -> None:
    word, status = visitor.chance.choice((("stop", "stopped"), ("start", "running"), ("restart", "running")))
    settle(user.status, status, await write(visitor, user, f"instance.{word}"))
    await _read_everywhere(visitor, user, "instance.details")


async def say(visitor: Visitor, user: User) -> None:
    text = f"number {next(_numbers)} of {user.mark}"
    lines = [_STREAM] if visitor.chance.random() < 0.5 else []
    reply = await write(visitor, user, "chat.send", {"topic": TOPIC, "message": text}, *lines)
    is_done = not lines or last_event(reply.content)[0] == "done"
    settle(user.said, text, reply, is_done=is_done)
    await _read_everywhere(visitor, user, "chat.messages")


async def talk(visitor: Visitor, user: User) -> None:
    """Say something in whatever session is the newest one; nobody looks for it."""
    await write(visitor, user, "agent.chat", {"action": "chat", "message": f"hello of {user.mark}"})


async def provision(visitor: Visitor, user: User) -> None:
    """Have an agent made, twice with the same key: it may be made once."""
    name = f"{user.mark} {next(_numbers)}"
    key = f"Idempotency-Key: {name}"
    first = await write(visitor, user, "agents.provision", {"name": name}, key)
    if not first.status:
        user.agents_total.doubt(first.ended)
        return
    elsewhere = next(each for each in REPLICAS if each != first.life.name)
    again = await write(visitor, user, "agents.provision", {"name": name}, key, via=elsewhere)
    agents = await agents_of(visitor.around.database, user)
    if agents is None or not (first.is_success and again.is_success):
        user.agents_total.doubt(time.monotonic())
        return
    if agents.count((name, "running")) > 1:
        told = f"agents for one key of {user.mark}, at {first.life.name} and {again.life.name}"
        visitor.suspect(Wrong.TWICE, told, first.life, again, since=first.began)
        user.agents_total.doubt(again.ended)  # made by two processes, it is neither one's own
        return
    settle(user.agents_total, len(agents), again if again.life is first.life else first)
    await _read_everywhere(visitor, user, "dashboard.stats", "agents.list")


async def write(
    visitor: Visitor,
    user: User,
    name: str,
    document: Any = None,
    *lines: str,
    via: str | None = None,
    pause: float = 0.0,
) -> Reply:
    """Carry out the action as the user; ``pause``: in pieces, with so many seconds between them."""
    action = OPERATIONS[name]
    assert isinstance(action, Action)
    path = action.path.format(agent_id=user.agent, instance_id=user.agent)
    credential = visitor.chance.choice((cookie, bearer))(user)
    whole = request(action.method, path, credential, *lines, document=document)
    pieces = [whole] if not pause else [whole[:30], whole[30:-5], whole[-5:]]
    return await visitor.tell(action, user, *pieces, via=via, pause=pause)


def settle(thing: Thing, value: Any, reply: Reply, *, is_done: bool = True) -> None:
    """Note what was written: nothing by what was refused, and perhaps something by what failed."""
    if reply.is_success and is_done:
        thing.written(value, now=reply.ended, writer=reply.life)
    elif reply.kind is not Kind.REFUSED:
        thing.doubt(reply.ended)


async def _read_everywhere(visitor: Visitor, user: User, *names: str) -> None:
    for name in names:
        for via in visitor.chance.sample(REPLICAS, len(REPLICAS)):
            await visitor.ask(QUESTIONS[name], user, via=via)


WRITES: Final[tuple[Scene, ...]] = (
    switch_skill,
    switch_skill,
    set_credential,
    configure,
    verify,
    order,
    say,
    say,
    talk,
    provision,
)

"""Whoever changes something sees it: no answer kept or begun before a write is given to who asks after it."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bff.plans import AnyAction
from demo.faults import Faults
from tests.faults.documented import ORDERS
from tests.faults.questions import AGENT_READS, DASHBOARDS, WRITES, asker
from tests.faults.rig import Answer, rig, until
from upstreams.user_store import UserStore
from upstreams.user_store.database import Database

READ = {plan.name: plan for plan in (*DASHBOARDS, *AGENT_READS)}
WRITE = {action.name: action for action in WRITES}

LONG = {"fresh": 3600, "stale": 3600}
KEPT = {"keep": {plan.name: LONG for plan in DASHBOARDS}}

DATA, ANALYTICS, BOOTSTRAP, COST, STATS = (
    f"dashboard.{name}" for name in ("data", "analytics", "bootstrap", "cost", "stats")
)
AGENTS = {DATA, ANALYTICS, BOOTSTRAP, COST, STATS}

# Write -> the kept answers that tell of what it changes.
CHANGES: dict[str, set[str]] = {
    "agents.provision": AGENTS,
    "provision": AGENTS,
    **{order: AGENTS - {BOOTSTRAP} for order in ORDERS},
    "agent.update-skill": {ANALYTICS, STATS},
    "agent.chat": {ANALYTICS},
    "chat.send": {ANALYTICS},
    "agents.config.update": set(),
    "agents.verify": set(),
    "agents.unverify": set(),
    "agent.create-session": set(),
    "agent.set-credential": set(),
}


def is_hit(answer: Answer) -> bool:
    return answer.headers["cache-status"].startswith("bff; hit")


def test_every_write_is_known() -> None:
    assert CHANGES.keys() == WRITE.keys()


@pytest.mark.parametrize("action", WRITES, ids=lambda action: action.name)
@pytest.mark.parametrize("succeeds", [True, False], ids=["done", "outcome unknown"])
async def test_a_kept_answer_is_not_served_after_a_write(
    action: AnyAction, succeeds: bool, own_sqlite_url: str
) -> None:
    who = asker(action).session_token
    async with rig(own_sqlite_url, KEPT) as the:
        kept = [READ[name] for name in AGENTS]
        await the.ask_all(kept, anew=False, who=who)
        assert all(is_hit(each) for each in (await the.ask_all(kept, anew=False, who=who)).values())
        for upstream in ("gateway", "backend") if not succeeds else ():
            await the.misbehave(upstream, Faults(reset=True))
        assert (await the.ask(action)).is_complete == (succeeds or not set(action.asks) & {"gateway", "backend"})
        after = await the.ask_all(kept, anew=False, who=who)

        assert {name for name, answer in after.items() if not is_hit(answer)} == CHANGES[action.name]


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count the statements that the store is asked within."""
    counted: Counter[str] = Counter()
    ask = Database.ask

    async def counting(self: Database, statement: Any, read: Any, **values: Any) -> Any:
        counted["statements"] += 1
        return await ask(self, statement, read, **values)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "ask", counting)
        yield counted


async def test_a_thousand_equal_questions_cost_one_statement(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = READ["agents.list"]
    async with rig(sqlite_url) as the:
        await the.ask(agents)
        with statements(monkeypatch) as counted:
            answers = await asyncio.gather(*(the.ask(agents, anew=False) for _ in range(1000)))

    assert counted["statements"] == 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert Counter(answer.headers["cache-status"] for answer in answers) == {
        "bff; fwd=miss": 1,
        "bff; fwd=miss; collapsed": 999,
    }


class Gate:
    """What would have been told at once is told when the gate opens; ``held``: how often that was waited for."""

    def __init__(self) -> None:
        self.held = 0
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    async def __call__(self) -> None:
        self.held += 1
        await self._opened.wait()

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` with its answers to reads behind the gate."""

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] != "GET" and scope["path"] != "/tools/invoke":
                await app(scope, receive, send)
                return
            told: list[Message] = []

            async def keep(message: Message) -> None:
                told.append(message)

            await app(scope, receive, keep)
            await self()
            for message in told:
                await send(message)

        return gated

    def after(self, ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return ``ask`` with its answers behind the gate."""

        async def gated(*args: Any, **how: Any) -> Any:
            found = await ask(*args, **how)
            await self()
            return found

        return gated


# Read, the upstream or the store's method that tells it, and the write after which it tells something else.
CONSEQUENCES = [
    ("agents.config", "backend", "agents.config.update"),
    ("agents.detail", "backend", "agents.verify"),
    ("agents.verification", "backend", "agents.verify"),
    ("agents.detail", "backend", "instance.stop"),
    ("instance.details", "backend", "instance.stop"),
    ("agents.logs", "backend", "instance.restart"),
    ("agent.credentials", "credentials", "agent.set-credential"),
    ("agent.skills", "installed_skills", "agent.update-skill"),
    ("agents.list", "agents", "agents.provision"),
    ("agents.provisioned", "agents", "agents.provision"),
]
PATIENT = {"upstreams": {name: {"timeout": 30, "deadline": 30} for name in ("backend", "sessions")}}


@pytest.mark.parametrize(
    ("read", "told_by", "write"), CONSEQUENCES, ids=[f"{read}-{write}" for read, _, write in CONSEQUENCES]
)
async def test_a_read_begun_before_a_write_does_not_answer_one_begun_after_it(
    read: str, told_by: str, write: str, own_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, gate = asker(WRITE[write]).session_token, Gate()
    async with rig(own_sqlite_url, PATIENT) as the:

        def ask() -> asyncio.Task[Answer]:
            return asyncio.create_task(the.ask(READ[read], who=who, anew=False))

        before = await ask()
        if told_by == "backend":
            the.gate("backend", gate.before)
        else:
            monkeypatch.setattr(UserStore, told_by, gate.after(getattr(UserStore, told_by)))
        earlier = ask()
        await until(lambda: gate.held == 1)
        also = ask()
        assert (await the.ask(WRITE[write])).is_complete
        later = ask()
        await until(lambda: gate.held == 2)
        gate.open()

        assert (await earlier).content == (await also).content == before.content
        assert (await also).headers["cache-status"] == "bff; fwd=miss; collapsed"
        assert (await later).is_complete
        assert (await later).content != before.content


async def test_a_chat_is_not_missing_from_what_is_asked_after_it(own_sqlite_url: str) -> None:
    history, gate = READ["chat.messages"], Gate()
    async with rig(own_sqlite_url, PATIENT) as the:
        the.gate("sessions", gate.before)
        earlier = asyncio.create_task(the.ask(history, anew=False))
        await until(lambda: gate.held == 1)
        assert (await the.ask(WRITE["chat.send"])).is_complete
        later = asyncio.create_task(the.ask(history, anew=False))
        await until(lambda: gate.held == 2)
        gate.open()

        assert [(await each).status for each in (earlier, later)] == [200, 200]

"""How each operation is asked on the pretend platform: by whom, with which path, query and body."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from bff.endpoints import ACTIONS, PLANS
from bff.plans import Access, Action, Operation, Plan
from demo import store
from demo.conversations import conversations
from demo.people import ADMIN, PEOPLE, Person
from upstreams.user_store import tables

# Whose gateway is the shared one, so that it can fail apart from the one that holds the sessions.
BOB: Final = next(person for person in PEOPLE if person.name == "Bob")

# Members of organizations and codex-lb's users have sessions that are not the platform's.
PLATFORM: Final = {Access.ANYONE, Access.SESSION, Access.OWNER, Access.ADMIN}
READS: Final = [plan for plan in PLANS if plan.access in PLATFORM]
AGENT_READS: Final = [plan for plan in READS if plan.document == "004"]
DASHBOARDS: Final = [plan for plan in READS if plan.document != "004"]
WRITES: Final = [action for action in ACTIONS if action.access in PLATFORM]

_NOW: Final = datetime.now(UTC)
SKILL: Final[str] = next(
    row["skillId"]
    for table, rows in store.rows_of(_NOW, "http://127.0.0.1:1")
    if table is tables.installed_skill
    for row in rows
    if row["userId"] == BOB.id and row["enabled"]
)

BODIES: Final[dict[str, dict[str, Any]]] = {
    "agents.provision": {"name": "helper"},
    "provision": {"telegramToken": "123456:telegram"},
    "agents.config.update": {"model": "gpt-5.1", "temperature": 0.7},
    "agents.verify": {"verificationType": "eas", "attestationUid": "0x123"},
    "agent.chat": {"message": "2 + 3"},
    "agent.create-session": {"action": "create-session"},
    "agent.update-skill": {"action": "update-skill", "skillId": SKILL, "enabled": False},
    "agent.set-credential": {"action": "set-credential", "key": "anthropic", "value": "sk-ant-secret"},
    "chat.send": {"message": "2 + 3"},
}


def reading(plans: Sequence[Plan[Any]], upstream: str) -> list[Plan[Any]]:
    """Return those of the plans that ask the upstream."""
    return [plan for plan in plans if any(source.upstream == upstream for source in plan.sources)]


def asker(operation: Operation[Any]) -> Person:
    """Return who asks: an administrator where only those may, or where others reach their limit of agents."""
    return ADMIN if operation.access is Access.ADMIN or operation.name == "agents.provision" else BOB


def url(operation: Operation[Any], query: str = "") -> str:
    """Return the path to ask, which names what is the asker's own, and the query."""
    person = asker(operation)
    instance = person.instance_id or person.agents[0].id
    path = operation.path.format(agent_id=person.agents[0].id, instance_id=instance)
    parameters = {"action": operation.action} if operation.action else {}
    if operation.name == "agent.session":
        parameters["sessionId"] = conversations(BOB.id, BOB.conversations, _NOW)[0].session_id
    return f"{path}?{urlencode(parameters)}{query}" if parameters else path + query


def method(operation: Operation[Any]) -> str:
    return operation.method if isinstance(operation, Action) else "GET"


def content(operation: Operation[Any]) -> bytes | None:
    """Return the request's body, None for what has none."""
    body = BODIES.get(operation.name)
    return None if body is None else json.dumps(body).encode()

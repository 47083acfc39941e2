"""What paths name: an agent or an instance, which the store has to call the caller's own first."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from bff.clients import Clients
from bff.plans import Ask, Subject
from upstreams.backend import Actor
from upstreams.user_store import Instance, OwnedAgent

_MAX_ID_CHARS: Final = 255


class AgentQuery(NamedTuple):
    agent_id: str

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(parameters["agent_id"])


class InstanceQuery(NamedTuple):
    instance_id: str

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> Self:
        return cls(parameters["instance_id"])


def _may_exist(name: str) -> bool:
    return name.isprintable() and len(name) <= _MAX_ID_CHARS


async def _agent(up: Clients, ask: Ask[Any]) -> OwnedAgent | None:
    agent_id = ask.query.agent_id
    return await up.user_store.owned_agent(ask.caller.user_id, agent_id) if _may_exist(agent_id) else None


async def _instance(up: Clients, ask: Ask[InstanceQuery]) -> Instance | None:
    own = await up.user_store.instance(ask.caller.user_id)
    return own if own is not None and own.instance_id == ask.query.instance_id else None


AGENT: Final = Subject(_agent, refusal=(404, "Agent not found"))
INSTANCE: Final = Subject(_instance, refusal=(403, "Forbidden"))


def actor(ask: Ask[Any]) -> Actor:
    """Return on whose behalf the backend is asked."""
    return Actor(ask.caller.user_id, ask.caller.email, ask.caller.is_admin)

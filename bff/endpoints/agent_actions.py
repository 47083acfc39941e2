"""What a user tells an agent to do (document 004, "POST actions")."""

import secrets
from typing import Final

from bff.clients import Clients
from bff.endpoints.agent_status import PATH
from bff.endpoints.chat import CHANGES as CHAT_CHANGES
from bff.endpoints.chat import PER_USER, converse
from bff.endpoints.sources import own_sessions
from bff.figures.conversations import (
    began_at,
    new_session_id,
    newest_begun_here,
    session_conversation,
    session_id,
)
from bff.plans import Access, Action, NoQuery, Order, Refused
from contracts import interaction
from contracts.interaction import ChatBody, CreateSessionBody, SetCredentialBody, UpdateSkillBody
from upstreams.failure import UpstreamFailure

_FAILED: Final = "Internal error"
_NO_KEY_RETRY_SECONDS: Final = 3600  # until somebody has configured one


async def chat(up: Clients, order: Order[NoQuery, ChatBody]) -> interaction.ChatReply:
    name = await _continued(up, order)
    conversation = session_conversation(order.caller.user_id, name)
    reply = await converse(up, order, conversation, order.body.message)
    return interaction.ChatReply(session_id=name, reply=reply, timestamp=int(order.now.timestamp() * 1000))


async def _continued(up: Clients, order: Order[NoQuery, ChatBody]) -> str:
    """Return the session to go on with: the one that is named, else the newest active one, else a new one."""
    given, user_id = order.body.session_id, order.caller.user_id
    if given is None:
        return await _newest(up, order) or _new(order)
    if began_at(user_id, given) is not None:
        return given
    known = {session_id(user_id, session) for session in await own_sessions(up, order)}
    if given in known:
        raise Refused(400, "sessionId must be that of a session begun here, not of another channel's")
    raise Refused(404, "Session not found")


async def _newest(up: Clients, order: Order[NoQuery, ChatBody]) -> str | None:
    try:
        sessions = await own_sessions(up, order)
    except UpstreamFailure:
        return None  # what was said before is not needed to say something new
    return newest_begun_here(order.caller.user_id, sessions, order.now)


def _new(order: Order[NoQuery, object]) -> str:
    return new_session_id(order.caller.user_id, order.now, secrets.token_hex(4))


async def create_session(_up: Clients, order: Order[NoQuery, CreateSessionBody]) -> interaction.SessionCreated:
    return interaction.SessionCreated(session_id=_new(order))


async def update_skill(up: Clients, order: Order[NoQuery, UpdateSkillBody]) -> interaction.SkillUpdated:
    body = order.body
    if not await up.user_store.set_skill(order.caller.user_id, body.skill_id, enabled=body.enabled):
        raise Refused(404, "Skill not found")
    return interaction.SkillUpdated(skill_id=body.skill_id, enabled=body.enabled)


async def set_credential(up: Clients, order: Order[NoQuery, SetCredentialBody]) -> interaction.CredentialSet:
    if up.vault is None:
        raise Refused(
            503,
            "Credentials cannot be stored: no encryption key is configured",
            retry_after=_NO_KEY_RETRY_SECONDS,
        )
    user_id, name = order.caller.user_id, order.body.key
    sealed = up.vault.seal(user_id, name, order.body.value)
    await up.user_store.put_credential(user_id, name, sealed, order.now)
    return interaction.CredentialSet(key=name)


CHAT = Action(
    "agent.chat",
    method="POST",
    path=PATH,
    action="chat",
    document="004",
    query=NoQuery,
    body=ChatBody,
    answer=interaction.ChatReply,
    access=Access.SESSION,
    asks=("sessions", "gateway"),
    perform=chat,
    changes=CHAT_CHANGES,
    failed=_FAILED,
    quota=PER_USER,
    streams=True,
)

CREATE_SESSION = Action(
    "agent.create-session",
    method="POST",
    path=PATH,
    action="create-session",
    document="004",
    query=NoQuery,
    body=CreateSessionBody,
    answer=interaction.SessionCreated,
    access=Access.SESSION,
    asks=(),
    perform=create_session,
    failed=_FAILED,
)

UPDATE_SKILL = Action(
    "agent.update-skill",
    method="POST",
    path=PATH,
    action="update-skill",
    document="004",
    query=NoQuery,
    body=UpdateSkillBody,
    answer=interaction.SkillUpdated,
    access=Access.SESSION,
    asks=("user_store",),
    perform=update_skill,
    changes=("dashboard.analytics", "dashboard.stats"),
    failed=_FAILED,
)

SET_CREDENTIAL = Action(
    "agent.set-credential",
    method="POST",
    path=PATH,
    action="set-credential",
    document="004",
    query=NoQuery,
    body=SetCredentialBody,
    answer=interaction.CredentialSet,
    access=Access.SESSION,
    asks=("user_store",),
    perform=set_credential,
    failed=_FAILED,
)

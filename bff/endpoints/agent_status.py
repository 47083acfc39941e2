"""What a user's agent is and can do (document 004, "GET actions": none, health, skills, credentials)."""

from typing import Final, Literal

from bff.endpoints.sources import GATEWAY, own_sessions
from bff.figures.conversations import last_activity
from bff.figures.messages import platform_of
from bff.plans import Access, Ask, Got, NoQuery, Plan, Refused, optional, required
from contracts import interaction
from upstreams.failure import Reason, UpstreamFailure
from upstreams.sessions import Session
from upstreams.user_store import InstalledSkill

PATH: Final = "/api/agent"
API_VERSION: Final = "1.0.0"
AGENTBOT_VERSION: Final = "2026.3.1"

# document 004, "List endpoints"
ENDPOINTS: Final = {
    "GET /api/agent": "List endpoints",
    "GET /api/agent?action=health": "Health status",
    "GET /api/agent?action=sessions": "List sessions",
    "GET /api/agent?action=session&sessionId=xxx": "Get session details",
    "GET /api/agent?action=memory": "Get agent memory",
    "GET /api/agent?action=skills": "List available skills",
    "GET /api/agent?action=credentials": "List configured credentials",
    "POST /api/agent": "Send message to agent",
    "POST /api/agent?action=create-session": "Create new session",
    "POST /api/agent?action=update-skill": "Enable/disable skill",
}

_STOPPED: Final = frozenset({Reason.REFUSED, Reason.DNS})
_NOT_ASKED: Final = frozenset({Reason.DISABLED, Reason.BREAKER_OPEN, Reason.SATURATED})


def endpoints(_ask: Ask[NoQuery], _got: Got) -> interaction.EndpointList:
    return interaction.EndpointList(
        api_version=API_VERSION, agentbot_version=AGENTBOT_VERSION, endpoints=ENDPOINTS
    )


def unknown_action(_ask: Ask[NoQuery], _got: Got) -> interaction.EndpointList:
    raise Refused(400, "Invalid action")


UPTIME = optional(
    "gateway", lambda up, ask: up.gateway.uptime(ask.caller.account), otherwise=0.0, stands_in="uptime 0"
)


_NO_SESSIONS: Final[list[Session]] = []
_NO_SKILLS: Final[tuple[InstalledSkill, ...]] = ()

SESSIONS = optional("sessions", own_sessions, otherwise=_NO_SESSIONS, stands_in="no channels")
INSTANCE = optional(
    "user_store",
    lambda up, ask: up.user_store.instance(ask.caller.user_id),
    otherwise=None,
    stands_in="no model",
)
SKILLS = required("user_store", lambda up, ask: up.user_store.installed_skills(ask.caller.user_id))
ENABLED = optional(
    "user_store",
    lambda up, ask: up.user_store.installed_skills(ask.caller.user_id),
    otherwise=_NO_SKILLS,
    stands_in="no skills",
)
CREDENTIALS = required("user_store", lambda up, ask: up.user_store.credentials(ask.caller.user_id))


def health(ask: Ask[NoQuery], got: Got) -> interaction.AgentHealth:
    sessions, instance = got[SESSIONS], got[INSTANCE]
    return interaction.AgentHealth(
        status=_status(ask, got.failure(GATEWAY)),
        version=AGENTBOT_VERSION,
        api_version=API_VERSION,
        uptime=int(got[UPTIME]),
        model=instance.model if instance else None,
        channels=sorted({platform for session in sessions if (platform := platform_of(session))}),
        skills=[skill.id for skill in got[ENABLED] if skill.enabled],
        last_seen=max((seen for session in sessions if (seen := last_activity(session))), default=None),
    )


def _status(
    ask: Ask[NoQuery], failure: UpstreamFailure | None
) -> Literal["running", "stopped", "error", "unknown"]:
    if failure is None:
        return "running"
    store_failed = isinstance(ask.caller.found, UpstreamFailure)  # and so nobody knows which gateway it is
    if store_failed or failure.reason in _NOT_ASKED:
        return "unknown"
    return "stopped" if failure.reason in _STOPPED else "error"


def skills(_ask: Ask[NoQuery], got: Got) -> interaction.SkillList:
    return interaction.SkillList(
        skills=[
            interaction.Skill(id=skill.id, name=skill.name, description=skill.description, enabled=skill.enabled)
            for skill in got[SKILLS]
        ]
    )


def credentials(_ask: Ask[NoQuery], got: Got) -> interaction.Credentials:
    configured = got[CREDENTIALS]
    names = interaction.CredentialNames.model_fields
    return interaction.Credentials(
        credentials=interaction.CredentialNames(**{name: name in configured for name in names})
    )


ENDPOINT_LIST = Plan(
    "agent.endpoints",
    path=PATH,
    document="004",
    query=NoQuery,
    answer=interaction.EndpointList,
    access=Access.SESSION,
    merge=endpoints,
    failed="Internal error",
)

UNKNOWN = Plan(
    "agent.unknown",
    path=PATH,
    action="*",
    document="004",
    query=NoQuery,
    answer=interaction.EndpointList,
    access=Access.SESSION,
    merge=unknown_action,
    failed="Internal error",
)

AGENT_HEALTH = Plan(
    "agent.health",
    path=PATH,
    action="health",
    document="004",
    query=NoQuery,
    answer=interaction.AgentHealth,
    access=Access.SESSION,
    sources=(GATEWAY, UPTIME, SESSIONS, INSTANCE, ENABLED),
    merge=health,
    failed="Internal error",
)

SKILL_LIST = Plan(
    "agent.skills",
    path=PATH,
    action="skills",
    document="004",
    query=NoQuery,
    answer=interaction.SkillList,
    access=Access.SESSION,
    sources=(SKILLS,),
    merge=skills,
    failed="Internal error",
)

CREDENTIAL_LIST = Plan(
    "agent.credentials",
    path=PATH,
    action="credentials",
    document="004",
    query=NoQuery,
    answer=interaction.Credentials,
    access=Access.SESSION,
    sources=(CREDENTIALS,),
    merge=credentials,
    failed="Internal error",
)

"""What users read, and what an answer must say to each of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from bff.endpoints import ACTIONS, PLANS
from bff.plans import Plan
from tests.soak.pretend import conversation_count
from tests.soak.users import SKILLS, TOPIC, Thing, User

OPERATIONS: Final = {operation.name: operation for operation in (*PLANS, *ACTIONS)}
PERIOD: Final = "from=2020-01-01&to=2040-01-01"


class Claim(NamedTuple):
    """What an answer says, beside the user's own: a ``thing`` that the user writes, or what never changes."""

    says: Any
    own: Any
    thing: Thing | None = None


Claims = Iterable[Claim]


@dataclass(frozen=True)
class Question:
    """``claims`` of a user and a body; ``without`` what has failed, so that the answer need not say it."""

    name: str
    path: Callable[[User], str]
    claims: Callable[[User, Any, frozenset[str]], Claims]
    credential: Callable[[User], str]

    @property
    def plan(self) -> Plan[Any]:
        plan = OPERATIONS[self.name]
        assert isinstance(plan, Plan)
        return plan

    @property
    def is_private(self) -> bool:
        """Whether the answer is one user's alone."""
        return self.name not in {"dashboard.health", "admin.summary"}


def cookie(user: User) -> str:
    return f"Cookie: agentbot-session={user.session}"


def bearer(user: User) -> str:
    return f"Authorization: Bearer {user.session}"


def clerk(user: User) -> str:
    return f"Authorization: Bearer {user.clerk_token}"


def codex(user: User) -> str:
    return f"Cookie: dashboard_session={user.codex_session}"


def written(thing: Thing, says: Any) -> Claim:
    return Claim(says, thing.value, thing)


def _data(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["userId"], user.id)
    yield Claim(body["agent"]["id"], user.agent)
    yield Claim(body["gatewayToken"], user.gateway_token)
    yield Claim(body["credits"], user.number)


def _bootstrap(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["referralCode"], f"ref-{user.mark}")
    yield Claim(body["gatewayToken"], user.gateway_token)


def _stats(user: User, body: Any, without: frozenset[str]) -> Claims:
    if "user_store" not in without:
        yield Claim(body["tasks"]["total"], user.tasks)
        yield written(user.agents_total, body["agents"]["total"])


def _analytics(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["overview"]["scheduledTasks"], user.tasks)
    yield written(user.agents_total, body["overview"]["deployedAgents"])
    enabled = {skill["name"] for skill in body["topSkills"]}
    for name in SKILLS:
        yield written(user.skills[name], user.skill_id(name) in enabled)


def _cost(user: User, body: Any, without: frozenset[str]) -> Claims:
    if "metrics" not in without:
        yield Claim({agent["name"].partition(" ")[0] for agent in body["agents"]}, {user.mark})


def _agents(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield written(user.agents_total, body["count"])
    yield Claim({agent["name"].partition(" ")[0] for agent in body["agents"]}, {user.mark})


def _skills(user: User, body: Any, without: frozenset[str]) -> Claims:
    enabled = {skill["id"]: skill["enabled"] for skill in body["skills"]}
    for name in SKILLS:
        yield written(user.skills[name], enabled[user.skill_id(name)])


def _credentials(user: User, body: Any, without: frozenset[str]) -> Claims:
    for name, thing in user.credentials.items():
        yield written(thing, body["credentials"][name])


def _chat(user: User, body: Any, without: frozenset[str]) -> Claims:
    said = [message["content"] for message in body["messages"] if message["role"] == "user"]
    yield written(user.said, said[-1] if said else None)


def _config(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield written(user.config, body["config"].get("soak"))


def _verification(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield written(user.verified, body["verified"])


def _detail(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["agent"]["id"], user.agent)
    yield written(user.verified, body["agent"]["verified"])


def _instance(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["userId"], user.agent)
    yield written(user.status, body["status"])


def _logs(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim({entry["agentId"] for entry in body["logs"]}, {user.agent})


def _statistics(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["stats"]["agentId"], user.other_agent)


def _own_figures(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["conversationCount"], conversation_count(user.organization, [user.number]))
    yield Claim(body["kbFileCount"], user.organization)


def _everybodys_figures(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["conversationCount"], conversation_count(user.organization, None))


def _overview(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim(body["requestCount"], user.number)
    yield Claim(body["usageSummary"]["inputTokens"], user.number)


def _models(user: User, body: Any, without: frozenset[str]) -> Claims:
    yield Claim([model["id"] for model in body["models"]], [f"model-{user.mark}"])


def _nothing(user: User, body: Any, without: frozenset[str]) -> Claims:
    """Return no claims: marks alone tell whose this answer is."""
    return ()


def _asked(
    name: str, path: str, claims: Callable[..., Claims], credential: Callable[[User], str] = cookie
) -> Question:
    def filled(user: User) -> str:
        return path.format(agent=user.agent, other=user.other_agent, mark=user.mark)

    return Question(name, filled, claims, credential)


QUESTIONS: Final = {
    question.name + variant: question
    for variant, question in (
        ("", _asked("dashboard.data", "/api/dashboard/data", _data)),
        ("", _asked("dashboard.analytics", "/api/dashboard/analytics?range=365", _analytics)),
        (" 30", _asked("dashboard.analytics", "/api/dashboard/analytics?range=30", _analytics)),
        ("", _asked("dashboard.bootstrap", "/api/dashboard/bootstrap", _bootstrap)),
        ("", _asked("dashboard.cost", "/api/dashboard/cost?period=30d", _cost)),
        ("", _asked("dashboard.stats", "/api/dashboard/stats", _stats)),
        ("", _asked("dashboard.health", "/api/dashboard/health", _nothing)),
        ("", _asked("agents.list", "/api/agents", _agents)),
        ("", _asked("agents.provisioned", "/api/agents/provision", _agents)),
        ("", _asked("agents.detail", "/api/agents/{agent}", _detail)),
        ("", _asked("agents.config", "/api/agents/{agent}/config", _config)),
        ("", _asked("agents.logs", "/api/agents/{agent}/logs?limit=20", _logs)),
        ("", _asked("agents.messages", "/api/agents/{agent}/messages?limit=10", _nothing)),
        ("", _asked("agents.stats", "/api/agents/{other}/stats", _statistics)),
        ("", _asked("agents.verification", "/api/agents/{agent}/verify", _verification)),
        ("", _asked("instance.details", "/api/instance/{agent}", _instance)),
        ("", _asked("instance.token", "/api/instance/{agent}/token", _nothing)),
        ("", _asked("agent.health", "/api/agent?action=health", _nothing)),
        ("", _asked("agent.sessions", "/api/agent?action=sessions", _nothing)),
        ("", _asked("agent.memory", "/api/agent?action=memory", _nothing)),
        ("", _asked("agent.skills", "/api/agent?action=skills", _skills)),
        ("", _asked("agent.credentials", "/api/agent?action=credentials", _credentials)),
        ("", _asked("chat.messages", f"/api/chat?topic={TOPIC}", _chat)),
        ("", _asked("dashboard.getStats", f"/api/dashboard/getStats?{PERIOD}", _own_figures, clerk)),
        ("", _asked("codex.overview", "/api/dashboard/overview", _overview, codex)),
        ("", _asked("codex.models", "/api/models", _models, codex)),
    )
}
OF_ADMIN: Final = _asked("admin.summary", "/api/admin/summary", _nothing)
OF_ORGANIZATION_ADMIN: Final = _asked(
    "dashboard.getStats", f"/api/dashboard/getStats?{PERIOD}&allInOrg=true", _everybodys_figures, clerk
)
OF_A_BADGE: Final = _asked(
    "dashboard.getStats",
    f"/api/dashboard/getStats?{PERIOD}&allInOrg=true&metadataKey=badge&metadataValue={{mark}}",
    _own_figures,
    clerk,
)

_DASHBOARDS: Final = tuple(name for name in QUESTIONS if name.startswith("dashboard.") and "getStats" not in name)


def any_question(chance: Random, user: User) -> Question:
    """Return one that the user may ask; half of them are the dashboards'."""
    if user.number == 0 and chance.random() < 0.2:
        return OF_ADMIN
    if user.is_organization_admin and chance.random() < 0.1:
        return chance.choice((OF_ORGANIZATION_ADMIN, OF_A_BADGE))
    names: Sequence[str] = _DASHBOARDS if chance.random() < 0.5 else tuple(QUESTIONS)
    return QUESTIONS[chance.choice(names)]

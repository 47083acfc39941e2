"""The pretend platform for the users of the soak: what it says of each is that one's alone."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from demo import codex
from demo.asgi import Answer, header, json_answer
from demo.conversations import Conversation, conversations
from demo.gateway import Tools
from demo.platform import Platform
from demo.tenants import Tenant
from demo.upstream import Upstream
from tests.soak.users import ORGANIZATIONS, User

ORGANIZATION_FIGURES: Final = 1_000_000
EVERYBODY: Final = 999_999
_NUMBER: Final = re.compile(r"zq(\d{4})z")


def populate(platform: Platform, sessions: Upstream, users: Sequence[User]) -> None:
    """Have the platform know the users; ``sessions`` is the gateway under another address."""
    routes = platform.upstreams["gateway"]._routes
    tools = routes["/tools/invoke"]
    assert isinstance(tools, Tools)
    now = datetime.now(UTC)
    tools._door._known |= {user.gateway_token: _tenant(user, now) for user in users if user.gateway_token}
    sessions._routes |= {"/tools/invoke": tools}
    platform.upstreams["metrics"]._routes |= _metrics()
    platform.upstreams["codex"]._routes |= _codex()
    platform.upstreams["clerk"]._otherwise = _memberships(users)
    for user in users:
        user.clerk_token = _token(platform, user)


def organization(number: int) -> str:
    return f"org_{number}"


def conversation_count(organization_number: int, numbers: Sequence[int] | None) -> int:
    """Return how many conversations these users of the organization (None: all) are said to have had."""
    return organization_number * ORGANIZATION_FIGURES + (EVERYBODY if numbers is None else sum(numbers))


def _token(platform: Platform, user: User) -> str:
    role = "admin" if user.is_organization_admin else "member"
    return platform.clerk.token(user.id, o={"id": organization(user.organization), "rol": role, "slg": "soak"})


def _tenant(user: User, now: datetime) -> Tenant:
    made = conversations(user.id, ("main", "telegram"), now)
    return Tenant("managed", [_marked(each, user) for each in made])


def _marked(conversation: Conversation, user: User) -> Conversation:
    at = conversation.updated_at
    return conversation.continued(f"I am {user.mark}", f"So you are {user.mark}", at)


def _answering(answer: Callable[[Scope], Answer]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope)(scope, receive, send)

    return app


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _metrics() -> dict[str, ASGIApp]:
    return {
        "/api/metrics/cost": _answering(_cost),
        "/api/metrics/conversations": _answering(_conversations),
        "/api/metrics/feedback": _answering(lambda _: _figures("totalFeedback totalHelpful totalNotHelpful", 3)),
        "/api/metrics/knowledge-base": _answering(_knowledge_base),
    }


def _cost(scope: Scope) -> Answer:
    [user] = _query(scope)["userId"]
    agent = {"name": user.removeprefix("user-"), "tokens": 10, "cost": 1.0, "calls": 2, "model": "gpt-5.1"}
    return json_answer({"agents": [agent], "daily": [], "modelBreakdown": [{"model": "gpt-5.1", "cost": 1.0}]})


def _figures(names: str, value: int, **first: int) -> Answer:
    return json_answer(dict.fromkeys(names.split(), value) | first)


def _conversations(scope: Scope) -> Answer:
    asked = _query(scope)
    users = asked.get("userId")
    numbers = None if users is None else [int(_NUMBER.findall(user)[0]) for user in users]
    count = conversation_count(_organization(asked), numbers)
    names = "messageCount toolCalls totalTokens inputTokens outputTokens uniqueUsers uniqueAgents"
    return _figures(names, 1, conversationCount=count)


def _knowledge_base(scope: Scope) -> Answer:
    names = "kbFileCount kbCount kbExtractTotalTokens kbExtractInputTokens kbExtractOutputTokens"
    return _figures(names, _organization(_query(scope)))


def _organization(asked: Mapping[str, list[str]]) -> int:
    return int(asked["orgId"][0].removeprefix("org_"))


def _memberships(users: Sequence[User]) -> ASGIApp:
    members = {
        organization(number): [_member(user) for user in users if user.organization == number]
        for number in range(ORGANIZATIONS)
    }

    def page(scope: Scope) -> Answer:
        found: list[Any] = members.get(scope["path"].split("/")[3], [])
        asked = _query(scope)
        first, limit = int(asked["offset"][0]), int(asked["limit"][0])
        return json_answer({"data": found[first : first + limit], "total_count": len(found)})

    return _answering(page)


def _member(user: User) -> dict[str, Any]:
    return {
        "role": "org:admin" if user.is_organization_admin else "org:member",
        "public_metadata": {"badge": user.mark},
        "public_user_data": {"user_id": user.id},
    }


def _codex() -> dict[str, ASGIApp]:
    def for_session(answer: Callable[[int], Any]) -> ASGIApp:
        def told(scope: Scope) -> Answer:
            found = _NUMBER.search(header(scope, b"cookie").decode("latin-1"))
            return json_answer(answer(int(found[1]))) if found else codex.UNAUTHENTICATED

        return _answering(told)

    return {
        "/api/dashboard/overview": for_session(_overview),
        "/api/reports": for_session(
            lambda number: {
                "summary": {"totalInputTokens": number, "totalOutputTokens": number, "totalCostUsd": 1.0}
            }
        ),
        "/api/models": for_session(
            lambda number: {"models": [{"id": f"model-zq{number:04}z", "name": json.dumps(number)}]}
        ),
    }


def _overview(number: int) -> dict[str, Any]:
    return {"accounts": [{"status": "active"}], "summary": {"metrics": {"requests": number, "errorRate": 0.0}}}

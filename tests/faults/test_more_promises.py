"""The promises of architecture.md to those whose sessions are not the platform's: members, codex-lb's users."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from itertools import count, product
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from demo import codex
from demo.asgi import header, json_answer
from demo.clerk import JWKS, MEMBERSHIPS, Clerk, OrganizationMember
from demo.faults import Faults
from demo.people import ADA, ADMIN, PEOPLE
from tests.faults.elsewhere import EVERYBODYS, MODELS, OVERVIEW, OWN, STATS, Elsewhere, elsewhere

PATIENT = {"timeout": 3}
MINUTE, HOUR = 60, 3600


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[Elsewhere, float], None]:
    """Give what lets so many seconds pass for the keys."""

    def let_pass(the: Elsewhere, seconds: float) -> None:
        before = the.keys._clock
        monkeypatch.setattr(the.keys, "_clock", lambda: before() + seconds)

    return let_pass


def naming(token: str, kid: str) -> str:
    """Return the token with another key's id."""
    head = json.dumps({"alg": "RS256", "kid": kid, "typ": "JWT"}).encode()
    return ".".join([urlsafe_b64encode(head).rstrip(b"=").decode(), *token.split(".")[1:]])


async def test_keys_once_known_outlive_any_outage(later: Callable[[Elsewhere, float], None]) -> None:
    async with elsewhere() as the:
        assert (await the.ask_as(ADMIN, OWN)).status == 200
        asked = the.count("clerk", JWKS)
        await the.misbehave("clerk", Faults(status=500))
        for number in range(3):
            later(the, HOUR + 1)
            assert (await the.ask_as(ADMIN, OWN, sid=f"sess_{number}")).status == 200
            unknown = naming(the.clerk.token(ADMIN.id), "ins_unknown")
            assert (await the.ask(OWN, Authorization=f"Bearer {unknown}")).status == 503  # nobody can tell
        assert asked() > 0

        await the.misbehave("clerk", None)
        later(the, MINUTE + 1)
        assert (await the.ask(OWN, Authorization=f"Bearer {unknown}")).status == 401
        assert (await the.ask_as(ADA, OWN)).status == 200


async def test_a_thousand_unknown_keys_are_one_question_a_minute(
    later: Callable[[Elsewhere, float], None],
) -> None:
    numbers = count()

    async def ask_a_hundred_times(the: Elsewhere, token: str) -> set[int]:
        forged = (naming(token, f"ins_{next(numbers)}") for _ in range(100))
        answers = await asyncio.gather(*(the.ask(OWN, Authorization=f"Bearer {each}") for each in forged))
        return {answer.status for answer in answers}

    async with elsewhere() as the:
        token = the.clerk.token(ADMIN.id)
        asked, members = the.count("clerk", JWKS), the.count("clerk", MEMBERSHIPS)
        for minute in range(1, 4):
            for _ in range(10):
                assert await ask_a_hundred_times(the, token) == {401}
            assert (await the.ask_as(ADA, OWN)).status == 200
            assert (asked(), members()) == (minute, 0)
            later(the, MINUTE)


async def test_25_000_members_are_searched_in_time() -> None:
    others = [
        OrganizationMember(f"user_{number:05}", "org:member", {"team": number % 7}) for number in range(24_986)
    ]
    people = [OrganizationMember(person.id, "org:member", {"team": "people"}) for person in PEOPLE]
    async with elsewhere(Clerk([*others, *people]), PATIENT) as the:
        asked = the.count("clerk", MEMBERSHIPS)
        ask = partial(the.ask_as, ADMIN, o={"id": "org_demo", "rol": "admin"})
        found, everybody = await ask(f"{EVERYBODYS}&metadataKey=team"), await ask(EVERYBODYS)
        people_alone = await ask(f"{EVERYBODYS}&metadataValue=people")
        others_alone = await ask(f"{EVERYBODYS}&metadataValue=3")

        assert (found.status, asked()) == (200, 50)
        assert max(found.seconds, people_alone.seconds, others_alone.seconds) < STATS.deadline
        assert found.body == everybody.body == people_alone.body
        assert found.body["uniqueUsers"] > others_alone.body["uniqueUsers"] == 0


async def test_thousands_of_accounts_are_counted() -> None:
    statuses = ["active", "paused", "rate_limited", "quota_exceeded", "deactivated", "reauth_required", "new"]
    accounts = [{"status": status, "email": "x" * 100} for status in statuses for _ in range(700)]
    overview = {"accounts": accounts, "summary": {"metrics": {"requests": 9, "errorRate": 1 / 3}}}
    async with elsewhere() as the:
        the.misbehave_at("codex", "/api/dashboard/overview", json_answer(overview))
        answer, _ = await the.ask_codex()

    assert answer.is_complete
    names = ("active", "paused", "rateLimited", "quotaExceeded", "deactivated")
    assert answer.body["accountCounts"] == {"total": 4900, **dict.fromkeys(names, 700)}
    assert (answer.body["requestCount"], answer.body["errorRate"]) == (9, 33.33)


# Users of every two organizations, and sessions, that could be taken for one another.
USERS = ["u", "u1", "U", "org_1", "u,u1", "('org_1', 'u')", "u&orgId=org_2", "ü"]
ORGANIZATIONS = ["org_1", "org_2", "org", "u"]
SESSIONS = ["s", "S", "s1", '"s"', "None", "s=", "org_1"]


FIGURES = {
    "conversations": (
        *("conversationCount", "messageCount", "toolCalls", "totalTokens", "inputTokens", "outputTokens"),
        *("uniqueUsers", "uniqueAgents"),
    ),
    "feedback": ("totalFeedback", "totalHelpful", "totalNotHelpful"),
    "knowledge-base": (
        *("kbFileCount", "kbCount"),
        *(f"kbExtract{kind}Tokens" for kind in ("Total", "Input", "Output")),
    ),
}


def numbered(*parts: str) -> int:
    """Return a number of whoever ``parts`` are alone."""
    return int.from_bytes("\0".join(parts).encode(), "big") % (2**53 - 111)


async def test_2_no_member_gets_anothers_bytes() -> None:
    async with elsewhere(policy=PATIENT) as the:
        await the.misbehave("metrics", telling(_figures))
        await the.misbehave("codex", telling(_codex))

        async def ask_as_member(user: str, organization: str, everybodys: bool, anew: bool) -> None:
            claims = {"sub": user, "o": {"id": organization, "rol": "admin"}}
            answer = await the.ask_as(ADMIN, EVERYBODYS if everybodys else OWN, anew=anew, **claims)
            mine = numbered(organization, "" if everybodys else user)
            assert (answer.status, answer.body["conversationCount"]) == (200, mine)
            assert (answer.body["totalFeedback"], answer.body["kbFileCount"]) == (mine, numbered(organization, ""))

        async def ask_codex(session: str, anew: bool) -> None:
            overview, models = await the.ask_codex(session, anew=anew)
            assert (
                overview.body["requestCount"] == overview.body["usageSummary"]["inputTokens"] == numbered(session)
            )
            assert models.body == {"models": [{"id": session, "name": session}]}

        members = product(USERS, ORGANIZATIONS, (False, True), (True, False, False))
        sessions = product(SESSIONS, (True, False, False))
        await asyncio.gather(*(ask_as_member(*each) for each in members), *(ask_codex(*each) for each in sessions))


async def test_2_nor_by_the_short_way() -> None:
    async with elsewhere() as the:
        admin, member, elsewhere_admin = (
            f"Bearer {the.clerk.token(ADMIN.id, o={'id': organization, 'rol': role})}"
            for organization, role in (("org_demo", "admin"), ("org_demo", "member"), ("org_other", "admin"))
        )
        await the.ask(EVERYBODYS, Authorization=admin)
        for token in (member, elsewhere_admin):
            assert (await the.ask(OWN, Authorization=token)).status == 200  # whose it is, is known from now on
        assert the.at_once(EVERYBODYS, Authorization=admin) is not None
        assert the.at_once(EVERYBODYS, Authorization=member) is None
        assert the.at_once(EVERYBODYS, Authorization=elsewhere_admin) is None
        assert the.at_once(EVERYBODYS) is None

        await the.ask_codex()
        assert the.at_once(MODELS.path, Cookie=f"dashboard_session={codex.SESSION}") is not None
        assert the.at_once(MODELS.path, Cookie=f"dashboard_session={codex.TOTP_SESSION}") is None
        assert the.at_once(MODELS.path) is None
        refused = json_answer({"error": {"code": "authentication_required"}}, 401)
        the.misbehave_at("codex", "/api/reports", refused)
        assert [answer.status for answer in await the.ask_codex()] == [401, 200]
        assert the.at_once(OVERVIEW.path, Cookie=f"dashboard_session={codex.SESSION}") is None


def telling(tell: Callable[[Scope], Any]) -> ASGIApp:
    """Return what answers so, later to some than to others."""
    turns = count()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(next(turns) % 7):
            await asyncio.sleep(0)
        await json_answer(tell(scope))(scope, receive, send)

    return app


def _figures(scope: Scope) -> dict[str, int]:
    asked = parse_qs(scope["query_string"].decode("latin-1"))
    number = numbered(asked["orgId"][0], asked.get("userId", [""])[0])
    return dict.fromkeys(FIGURES[scope["path"].rpartition("/")[2]], number)


def _codex(scope: Scope) -> dict[str, Any]:
    session = header(scope, b"cookie").decode().removeprefix("codex_lb_dashboard_session=")
    number = numbered(session)
    answers: dict[str, dict[str, Any]] = {
        "/api/dashboard/overview": {"accounts": [], "summary": {"metrics": {"requests": number}}},
        "/api/reports": {"summary": {"totalInputTokens": number, "totalOutputTokens": 0, "totalCostUsd": 0}},
        "/api/models": {"models": [{"id": session, "name": session}]},
    }
    return answers[scope["path"]]

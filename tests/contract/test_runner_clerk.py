"""The runner's Clerk: forged tokens that are forged otherwise than they say would promise nothing."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from tests.contract import clerk
from tests.contract.expect import Expectation
from tests.contract.heard import in_asked

NOW = datetime(2026, 4, 4, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
MEMBERSHIPS = "GET /v1/organizations/org_1/memberships"
EXPECTATION = Expectation(NOW, {})


def parts(token: str) -> list[Any]:
    """Return header and claims."""
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def is_genuine(token: str) -> bool:
    keys = KeySet.import_key_set(clerk.answers_of({})[f"GET {clerk.JWKS}"]["body"])
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    registry.max_header_length = 4096
    try:
        jws.deserialize_compact(token, keys.keys[0], registry=registry)
    except BadSignatureError:
        return False
    return True


@pytest.mark.parametrize(
    ("forms", "claims"),
    [
        ([], {"sub": "u1", "v": 2, "o": {"id": "org_1", "rol": "member"}, "exp": AT + 600, "azp": clerk.PARTY}),
        (["admin"], {"o": {"id": "org_1", "rol": "admin"}}),
        (["v1", "admin"], {"org_id": "org_1", "org_role": "org:admin"}),
        (["of org_2"], {"o": {"id": "org_2", "rol": "member"}}),
        (["v1", "of org_2"], {"org_id": "org_2", "org_role": "org:member"}),
        (["no organization"], {"v": 2, "sub": "u1"}),
        (["expired"], {"exp": AT - 60}),
        (["not yet valid"], {"nbf": AT + 60}),
        (["wrong issuer"], {"iss": "https://clerk.evil.example.com"}),
        (["wrong party"], {"azp": "https://evil.example.com"}),
    ],
    ids=str,
)
def test_what_genuine_tokens_claim(forms: list[str], claims: dict[str, Any]) -> None:
    token = clerk.token("u1", forms, NOW)
    assert is_genuine(token)
    assert parts(token)[1].items() >= claims.items()


@pytest.mark.parametrize(
    ("forms", "missing"),
    [(["no organization"], "o"), (["v1", "no organization"], "org_id"), (["no party"], "azp")],
)
def test_what_they_do_not_claim(forms: list[str], missing: str) -> None:
    assert missing not in parts(clerk.token("u1", forms, NOW))[1]


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("another key", {"alg": "RS256", "kid": "ins_1"}),
        ("unknown kid", {"alg": "RS256", "kid": "ins_2"}),
        ("embedded jwk", {"alg": "RS256"}),
        ("jku", {"jku": "https://evil.example.com/jwks.json"}),
        ("tampered", {"alg": "RS256", "kid": "ins_1"}),
    ],
)
def test_what_forged_tokens_say(form: str, header: dict[str, Any]) -> None:
    token = clerk.token("u1", [form], NOW)
    assert not is_genuine(token)
    assert parts(token)[0].items() >= header.items()


@pytest.mark.parametrize("algorithm", ["alg none", "HS256"])
def test_tokens_of_other_algorithms(algorithm: str) -> None:
    token = clerk.token("u1", [algorithm, "admin"], NOW)
    assert parts(token)[0]["alg"] == algorithm.removeprefix("alg ")
    assert parts(token)[1]["o"]["rol"] == "admin"
    assert (token.rpartition(".")[2] == "") is (algorithm == "alg none")


def test_a_member_is_turned_into_an_admin() -> None:
    assert parts(clerk.token("u1", ["tampered"], NOW))[1]["o"] == {"id": "org_1", "rol": "admin"}


def test_the_same_token_twice_is_the_same() -> None:
    assert clerk.token("u1", ["v1"], NOW) == clerk.token("u1", ["v1"], NOW)
    with pytest.raises(AssertionError):
        clerk.token("u1", ["forged"], NOW)


def test_members_are_told_as_clerk_does() -> None:
    members = [{"user": "u1", "role": "admin", "metadata": {"plan": "pro"}}, {"user": "many", "times": 2}]
    answers = clerk.answers_of({"members": members, "GET /else": {"status": 500}})
    told = answers[MEMBERSHIPS]["body"]
    assert told["total_count"] == 3
    assert [each["public_user_data"]["user_id"] for each in told["data"]] == ["u1", "many-1", "many-2"]
    assert told["data"][0]["public_metadata"] == {"plan": "pro"}
    assert [each["role"] for each in told["data"]] == ["org:admin", "org:member", "org:member"]
    assert answers["GET /else"] == {"status": 500}
    assert clerk.answers_of({MEMBERSHIPS: {"status": 503}})[MEMBERSHIPS] == {"status": 503}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"orgId": "org_1", "userId": ["a", "b"], "agentId": ""}, None),
        ({"orgId": "org_2", "userId": ["a", "b"], "agentId": ""}, 'query.orgId: expected "org_2", got "org_1"'),
        ({"orgId": "org_1", "userId": ["a", "b"]}, 'query.agentId: expected nothing, got ""'),
        ({"orgId": "org_1", "userId": ["b", "a"], "agentId": ""}, 'query.userId[0]: expected "b", got "a"'),
    ],
)
def test_a_query_is_compared_whole(query: dict[str, Any], problem: str | None) -> None:
    heard = [httpx.Request("GET", "http://metrics/path?orgId=org_1&userId=a&agentId=&userId=b")]
    problems = list(in_asked({"GET metrics /path": {"query": query}}, heard, EXPECTATION))
    assert [each.partition(": ")[2] for each in problems][:1] == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("expected", "actual"),
    [("<month now>-01", "2026-04-01"), ("<date now-3d>", "2026-04-01"), ("<date now>", "2026-04-04")],
)
def test_days(expected: str, actual: str) -> None:
    assert EXPECTATION.text(expected, actual)
    assert not EXPECTATION.text(expected, "2026-04-02")

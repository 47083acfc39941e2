"""The pretend Clerk: keys, tokens and members as the gateway's own client takes them."""

import json

import pytest

from bff.auth.clerk import ClerkTokens
from demo import clerk as demo
from demo.people import PEOPLE
from tests.demo.apps import running
from upstreams.clerk import ClerkApi, ClerkKeys
from upstreams.pipe import Address, Pipe, Policy
from upstreams.transport import LeanTransport

KEY = {"Authorization": f"Bearer {demo.SECRET_KEY}"}


@pytest.fixture(scope="module")
def clerk():
    return demo.Clerk()  # making a key takes a while


@pytest.fixture
async def url(clerk):
    async with running(demo.routes(clerk), demo.BackendApi(clerk)) as url:
        yield url


@pytest.fixture
async def pipe():
    async with LeanTransport() as transport:
        yield Pipe("clerk", Policy(), transport)


@pytest.fixture
def tokens(pipe, url):
    return ClerkTokens(ClerkKeys(pipe, Address.parse(url + demo.JWKS)), demo.ISSUER, [demo.AUTHORIZED_PARTY])


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("user", "organization", "role"),
    [
        ("user_admin", demo.ORGANIZATION, "org:admin"),
        ("user_ada", demo.ORGANIZATION, "org:member"),
        ("user_stranger", None, None),
    ],
)
async def test_a_token_of_either_version(clerk, tokens, version, user, organization, role):
    claims = await tokens.verify(clerk.token(user, version=version))
    assert (claims.user_id, claims.org_id, claims.role) == (user, organization, role)


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "https://other.example.com"}, {"azp": "https://evil.com"}])
async def test_a_token_can_be_made_a_bad_one(clerk, tokens, claims):
    assert await tokens.verify(clerk.token("user_ada", **claims)) is None


async def test_each_instance_has_a_key_of_its_own(tokens):
    assert await tokens.verify(demo.Clerk().token("user_ada")) is None


async def test_the_private_key_is_nobodys(client, url):
    [key] = (await client.ask(url + demo.JWKS)).json["keys"]
    assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}


async def test_everybody_is_a_member(pipe, url):
    members = await ClerkApi(pipe, Address.parse(url), demo.SECRET_KEY).memberships(demo.ORGANIZATION)
    assert [member.user_id for member in members] == [person.id for person in PEOPLE]
    assert [member.user_id for member in members if member.role == "org:admin"] == ["user_admin"]
    assert {json.dumps(member.public_metadata["level"]) for member in members} == {"0", "1", "2", "3"}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?limit=3&offset=0", range(3)),
        ("?limit=3&offset=12", range(12, len(PEOPLE))),
        ("?offset=99", []),
        ("", range(10)),
    ],
)
async def test_members_come_in_pages(client, url, query, numbers):
    reply = await client.ask(url + demo.MEMBERSHIPS + query, headers=KEY)
    users = [one["public_user_data"]["user_id"] for one in reply.json["data"]]
    assert (reply.json["total_count"], users) == (len(PEOPLE), [PEOPLE[number].id for number in numbers])


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (demo.MEMBERSHIPS, {}, 401),
        (demo.MEMBERSHIPS, {"Authorization": "Bearer sk_test_other"}, 401),
        (demo.MEMBERSHIPS + "?limit=501", KEY, 422),
        (demo.MEMBERSHIPS + "?limit=0", KEY, 422),
        (demo.MEMBERSHIPS + "?offset=-1", KEY, 422),
        ("/v1/organizations/org_other/memberships", KEY, 404),
        ("/v1/organizations/org_other/memberships", {}, 401),
    ],
)
async def test_what_is_not_a_good_question_is_refused(client, url, target, headers, status):
    reply = await client.ask(url + target, headers=headers)
    assert reply.status == status
    assert reply.json["errors"][0]["code"]

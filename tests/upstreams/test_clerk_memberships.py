"""The members of an organization: every page of them, each member once, or a failure."""

import asyncio
import time
from dataclasses import replace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo import clerk as demo
from demo.upstream import Upstream as DemoUpstream
from tests.upstreams.answers import Upstream, json_answer
from tests.virtual_time import settle
from upstreams.clerk import ClerkApi, Member
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy
from upstreams.transport import LeanTransport

HERE = Address.parse("https://api.clerk.example.com")


def membership(number, **more):
    user = {"user_id": f"user_{number}", "first_name": "Ada"}
    told = {"id": f"orgmem_{number}", "role": "org:member", "public_metadata": {"n": number}}
    return told | {"public_user_data": user} | more


def page(numbers, total):
    return json_answer({"data": [membership(number) for number in numbers], "total_count": total})


class Paged(httpx.AsyncBaseTransport):
    """Answers with pages of ``memberships``; notes how many calls there are at once."""

    def __init__(self, memberships, total=None):
        self._memberships = memberships
        self._total = len(memberships) if total is None else total
        self.requests = []
        self.most_at_once = 0
        self._at_once = 0

    async def handle_async_request(self, request):
        self.requests.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        return json_answer({"data": self._memberships[offset : offset + limit], "total_count": self._total})


def api(transport, address=HERE, secret_key="sk_test"):
    return ClerkApi(Pipe("clerk", Policy(retries=0), transport), address, secret_key)


async def failure(transport, org_id="org_1", **options):
    with pytest.raises(UpstreamFailure) as caught:
        await api(transport, **options).memberships(org_id)
    return caught.value.reason


async def test_a_member():
    upstream = Upstream(json_answer({"data": [membership(1, role="org:admin")], "total_count": 1}))
    assert await api(upstream).memberships("org_1") == (Member("user_1", "org:admin", {"n": 1}),)
    [request] = upstream.requests
    assert str(request.url) == f"{HERE.base}/v1/organizations/org_1/memberships?limit=500&offset=0"
    assert request.headers["authorization"] == "Bearer sk_test"


async def test_an_organization_without_members():
    assert await api(Upstream(page([], 0))).memberships("org_1") == ()


@pytest.mark.parametrize("metadata", [{"public_metadata": None}, {"public_metadata": {}}])
async def test_a_member_without_metadata(metadata):
    upstream = Upstream(json_answer({"data": [membership(1) | metadata], "total_count": 1}))
    [member] = await api(upstream).memberships("org_1")
    assert member.public_metadata == {}


async def test_a_user_who_was_deleted_is_nobody():
    upstream = Upstream(
        json_answer({"data": [membership(1, public_user_data=None), membership(2)], "total_count": 2})
    )
    [member] = await api(upstream).memberships("org_1")
    assert member.user_id == "user_2"


@pytest.mark.parametrize(("members", "pages"), [(499, 1), (500, 1), (501, 2), (1000, 2), (1001, 3), (12_345, 25)])
async def test_every_page_a_few_at_once(members, pages):
    clerk = Paged([membership(number) for number in range(members)])
    found = await api(clerk).memberships("org_1")
    assert [member.user_id for member in found] == [f"user_{number}" for number in range(members)]
    assert sorted(int(request.url.params["offset"]) for request in clerk.requests) == list(range(0, members, 500))
    assert len(clerk.requests) == pages
    assert clerk.most_at_once == min(pages - 1, 8) or pages == 1


async def test_who_appears_twice_because_somebody_joined_meanwhile_is_one_member():
    first, second = page(range(500), 600), page(range(499, 600), 601)
    found = await api(Upstream(first, second)).memberships("org_1")
    assert [member.user_id for member in found] == [f"user_{number}" for number in range(600)]


async def test_somebody_may_leave_meanwhile():
    first, second = page(range(500), 600), page(range(500, 599), 599)
    assert len(await api(Upstream(first, second)).memberships("org_1")) == 599


@pytest.mark.parametrize(
    "pages",
    [
        [page(range(500), 600), page(range(500, 550), 600)],
        [page(range(500), 600), page(range(500), 600)],
        [page(range(500), 600), page([], 600)],
        [page(range(100), 200)],
    ],
    ids=["a page too short", "the same page twice", "an empty page", "smaller pages than asked for"],
)
async def test_fewer_members_than_there_are_is_malformed(pages):
    assert await failure(Upstream(*pages)) is Reason.MALFORMED


async def test_a_hundred_thousand_members_are_the_most():
    clerk = Paged([membership(0)], total=100_001)
    assert await failure(clerk) is Reason.TOO_LARGE
    assert len(clerk.requests) == 1


async def test_a_page_that_fails_fails_them_all_and_no_more_are_asked_for():
    transport = Upstream(page(range(500), 50_000), *(httpx.Response(500) for _ in range(8)))
    assert await failure(transport) is Reason.STATUS
    assert len(transport.requests) <= 9


async def test_whoever_leaves_takes_the_pages_along():
    transport = Upstream(page(range(500), 50_000), *(None for _ in range(8)))
    asking = asyncio.create_task(api(transport).memberships("org_1"))
    while len(transport.requests) < 9:  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)
    asking.cancel()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"data": [], "total_count": None},
        {"data": [], "total_count": -1},
        {"data": None, "total_count": 0},
        {"data": [{"role": "org:admin"}] * 501, "total_count": 501},
        {"data": [{}], "total_count": 1},
        {"data": [membership(1, role=None)], "total_count": 1},
        {"data": [membership(1, role="r" * 256)], "total_count": 1},
        {"data": [membership(1, public_metadata=[])], "total_count": 1},
        {"data": [membership(1, public_metadata="{}")], "total_count": 1},
        {"data": [membership(1, public_user_data={})], "total_count": 1},
        {"data": [membership(1, public_user_data={"user_id": ""})], "total_count": 1},
        {"data": [membership(1, public_user_data={"user_id": "u" * 256})], "total_count": 1},
    ],
    ids=lambda body: str(body)[:60],
)
async def test_memberships_that_cannot_be_are_malformed(body):
    assert await failure(Upstream(json_answer(body))) is Reason.MALFORMED


@pytest.mark.parametrize("org_id", ["", ".", "..", "o" * 256, "o" * 1_000_000, "org\0", "org\n", "org\ud800"])
async def test_what_is_no_organization_is_not_asked_for(org_id):
    assert await failure(Upstream(), org_id) is Reason.DISABLED


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=30))
async def test_no_organization_breaks_out_of_its_path(org_id):
    upstream = Upstream(page([], 0))
    try:
        await api(upstream).memberships(org_id)
    except UpstreamFailure:
        assert upstream.requests == []
    else:
        segments = upstream.requests[0].url.raw_path.partition(b"?")[0].split(b"/")
        assert (segments[:3], segments[4:]) == ([b"", b"v1", b"organizations"], [b"memberships"])


async def test_without_an_address_it_is_disabled():
    assert await failure(Upstream(), address=None) is Reason.DISABLED


async def test_twenty_five_thousand_members_in_less_than_five_seconds():
    metadata = {"department": "engineering", "level": 3, "teams": ["a", "b"], "note": "x" * 200}
    somebody = demo.OrganizationMember("user_", "org:member", metadata)
    members = [replace(somebody, user_id=f"user_{number:027}") for number in range(25_000)]
    made = demo.Clerk(members)
    clerk = DemoUpstream("clerk", demo.routes(made), demo.BackendApi(made), host="127.0.0.1", port=0)
    await clerk.open()
    try:
        async with LeanTransport() as transport:
            pipe = Pipe("clerk", Policy(), transport)
            started = time.monotonic()
            found = await ClerkApi(pipe, Address.parse(clerk.url), demo.SECRET_KEY).memberships(demo.ORGANIZATION)
            took = time.monotonic() - started
    finally:
        await clerk.close()
    assert [member.user_id for member in found] == [member.user_id for member in members]
    assert found[0].public_metadata == metadata
    assert took < 5

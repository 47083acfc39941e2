"""Clerk's keys: which are used, when they are asked for, and what an outage costs."""

import asyncio

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.upstreams.answers import Upstream, json_answer
from tests.virtual_time import settle
from upstreams.clerk import ClerkKeys
from upstreams.failure import Reason, UpstreamFailure
from upstreams.pipe import Address, Pipe, Policy

JWKS = Address.parse("https://clerk.example.com/.well-known/jwks.json")
ONE, OTHER = (
    RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"}).as_dict(private=False)
    for kid in ("ins_1", "ins_2")
)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def published(*keys):
    return json_answer({"keys": list(keys)})


@pytest.fixture
def opened(clock):
    """Return keys that come from ``answers``, and where they are asked for."""

    def open_(*answers, jwks_url=JWKS):
        upstream = Upstream(*answers)
        policy = Policy(retries=0, failures=1_000_000)
        return ClerkKeys(Pipe("clerk", policy, upstream), jwks_url, clock), upstream

    return open_


async def failure(keys, kid="ins_1"):
    with pytest.raises(UpstreamFailure) as caught:
        await keys.key(kid)
    return caught.value.reason


async def test_a_published_key(opened):
    keys, upstream = opened(published(ONE, OTHER))
    key = await keys.key("ins_2")
    assert key.as_dict(private=False)["n"] == OTHER["n"]
    assert await keys.key("ins_1") is not None
    [request] = upstream.requests
    assert (request.method, str(request.url)) == ("GET", JWKS.base)
    assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent"}


def with_(**fields):
    return ONE | {"kid": "odd"} | fields


@pytest.mark.parametrize(
    "odd",
    [
        ECKey.generate_key("P-256", {"kid": "odd", "use": "sig"}).as_dict(private=False),
        OctKey.import_key(b"s" * 32, {"kid": "odd", "use": "sig"}).as_dict(private=True),
        with_(use="enc"),
        with_(alg="RS512"),
        with_(alg="none"),
        with_(kty="rsa"),
        with_(kid=1),
        with_(n=None),
        with_(n=""),
        with_(n="AQAB"),
        with_(n="A" * 2000),
        with_(n="é" * 342),
        with_(n=ONE["n"][: len(ONE["n"]) // 2]),
        with_(e="AA"),
        with_(e="A"),
        with_(e="AQABAQAB"),
        {"kid": "odd"},
        None,
        "odd",
        [],
    ],
    ids=lambda _: "odd",  # their text is another one each time
)
async def test_what_is_no_key_of_ours_is_as_if_it_were_not_there(opened, odd):
    keys, _ = opened(published(odd, ONE))
    assert await keys.key("ins_1") is not None
    assert await keys.key("odd") is None


@pytest.mark.parametrize("field", ["use", "alg"])
async def test_a_key_need_not_say_what_it_is_for(opened, field):
    keys, _ = opened(published({name: value for name, value in ONE.items() if name != field}))
    assert await keys.key("ins_1") is not None


async def test_a_key_without_a_name_is_none(opened):
    keys, _ = opened(published(ONE, {name: value for name, value in OTHER.items() if name != "kid"}))
    assert await keys.key("") is None


async def test_an_unknown_key_is_asked_for_once_a_minute(opened, clock):
    keys, upstream = opened(published(ONE), published(ONE), published(ONE, OTHER))
    assert await keys.key("ins_1") is not None
    for elapsed in (0.0, 59.9):
        clock.now = 1000.0 + elapsed
        assert await keys.key("ins_2") is None
    assert len(upstream.requests) == 1
    clock.now = 1060.0
    assert await keys.key("ins_2") is None
    clock.now = 1120.0
    assert await keys.key("ins_2") is not None
    assert len(upstream.requests) == 3


async def test_a_thousand_that_ask_at_once_cost_one_request(opened):
    keys, upstream = opened(published(ONE))
    found = await asyncio.gather(*(keys.key(f"ins_{number}") for number in range(1000)))
    assert [number for number, key in enumerate(found) if key is not None] == [1]
    assert len(upstream.requests) == 1


class Slow(Upstream):
    """Answers when the test says so."""

    def __init__(self, *answers):
        super().__init__(*answers)
        self.answer = asyncio.Event()

    async def handle_async_request(self, request):
        self.requests.append(request)
        await self.answer.wait()
        return self._answers.pop(0)


async def test_who_started_asking_may_leave():
    upstream = Slow(published(ONE))
    keys = ClerkKeys(Pipe("clerk", Policy(), upstream), JWKS)
    first, second = (asyncio.create_task(keys.key("ins_1")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    upstream.answer.set()
    assert await second is not None


async def test_who_comes_while_it_is_being_asked_for_waits_too(clock):
    upstream = Slow(published(ONE))
    keys = ClerkKeys(Pipe("clerk", Policy(), upstream), JWKS, clock)
    first = asyncio.create_task(keys.key("ins_1"))
    await settle()
    clock.now += 1.5
    second = asyncio.create_task(keys.key("ins_1"))
    await settle()
    upstream.answer.set()
    assert None not in await asyncio.gather(first, second)
    assert len(upstream.requests) == 1


async def test_keys_are_kept_through_an_outage(opened, clock):
    keys, upstream = opened(published(ONE), *(httpx.ConnectError("no") for _ in range(100)))
    await keys.key("ins_1")
    for _ in range(100):
        clock.now += 3600.0
        assert await keys.key("ins_1") is not None
        await settle()
    assert len(upstream.requests) == 101


async def test_during_an_outage_nobody_can_tell_an_unknown_key(opened, clock):
    keys, upstream = opened(published(ONE), json_answer({}, 503), published(ONE, OTHER))
    await keys.key("ins_1")
    clock.now += 60.0
    assert await failure(keys, "ins_2") is Reason.STATUS
    clock.now += 59.9
    assert await failure(keys, "ins_2") is Reason.STATUS
    assert await keys.key("ins_1") is not None
    assert len(upstream.requests) == 2
    clock.now += 0.1
    assert await keys.key("ins_2") is not None


async def test_without_any_key_yet_it_is_tried_again_soon(opened, clock):
    keys, upstream = opened(httpx.ConnectError("no"), published(ONE))
    assert await failure(keys) is Reason.REFUSED
    assert await failure(keys) is Reason.REFUSED
    assert len(upstream.requests) == 1
    clock.now += 1.0
    assert await keys.key("ins_1") is not None


async def test_a_key_that_was_withdrawn_stops_counting_within_the_hour(opened, clock):
    keys, upstream = opened(published(ONE, OTHER), published(OTHER))
    assert await keys.key("ins_1") is not None
    clock.now += 3599.9
    assert await keys.key("ins_1") is not None
    assert len(upstream.requests) == 1
    clock.now += 0.1
    assert await keys.key("ins_1") is not None, "nobody waits for keys that are only old"
    await settle()
    assert await keys.key("ins_1") is None
    assert await keys.key("ins_2") is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (published(), Reason.MALFORMED),
        (published({"kid": "ins_1"}), Reason.MALFORMED),
        (json_answer({"keys": None}), Reason.MALFORMED),
        (json_answer([]), Reason.MALFORMED),
        (published(*[ONE] * 101), Reason.MALFORMED),
        (httpx.Response(200, content=b"<html>"), Reason.MALFORMED),
        (httpx.Response(200, content=b'{"keys": [' + b"[" * 100_000), Reason.MALFORMED),
        (httpx.Response(200, content=b" " * 300_000), Reason.TOO_LARGE),
        (httpx.Response(302, headers={"location": "https://evil.example.com/"}), Reason.STATUS),
        (httpx.Response(401), Reason.STATUS),
        (httpx.ReadError("gone"), Reason.RESET),
    ],
)
async def test_an_answer_without_keys_replaces_none(opened, clock, answer, reason):
    keys, upstream = opened(published(ONE), answer)
    await keys.key("ins_1")
    clock.now += 60.0
    assert await failure(keys, "ins_2") is reason
    assert await keys.key("ins_1") is not None
    assert {str(request.url) for request in upstream.requests} == {JWKS.base}


async def test_without_an_address_it_is_disabled(opened):
    keys, _ = opened(jwks_url=None)
    assert await failure(keys) is Reason.DISABLED

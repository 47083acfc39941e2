"""Whose a session is: asked of the store once, known for a while, and what happens when the store cannot tell."""

import asyncio
from datetime import timedelta

import pytest

from bff.auth.credentials import Credential, Kind
from bff.auth.identities import Identities
from bff.auth.nextauth import NextAuthSessions
from tests.bff.auth.nextauth_tokens import SECRET, token
from tests.virtual_time import settle
from upstreams.failure import Reason, UpstreamFailure
from upstreams.user_store import Account, SessionOwner

TTL, STALE = 10.0, 300.0
ADA = Account("user_ada", "ada@example.com", "http://own.example.com", "gateway-token")
DOWN = UpstreamFailure("user_store", Reason.REFUSED)


class Users:
    """The user store: ``sessions`` by token, ``accounts`` by id; ``trouble`` is raised, ``hung`` never ends."""

    def __init__(self, clock):
        self._clock = clock
        self.sessions = {"ada": SessionOwner(ADA, clock.noon + timedelta(days=1))}
        self.accounts = {ADA.user_id: ADA}
        self.asked = []
        self.trouble = None
        self.hung = False

    async def session(self, token, now):
        assert now == self._clock.utc_now()
        await self._answer(token)
        owner = self.sessions.get(token)
        return owner if owner and owner.expires > now else None

    async def account(self, user_id):
        await self._answer(user_id)
        return self.accounts.get(user_id)

    async def _answer(self, asked):
        self.asked.append(asked)
        await asyncio.sleep(3600 if self.hung else 0)
        if self.trouble:
            raise self.trouble


@pytest.fixture
def users(clock):
    return Users(clock)


@pytest.fixture
def identities(users):
    return Identities(users, NextAuthSessions(SECRET), [], ttl=TTL, stale=STALE)


async def find(identities, token="ada", kind=Kind.OPAQUE, *, reads=True, within=2.0):
    expires = asyncio.get_running_loop().time() + within
    caller = await identities.find(Credential(kind, token), reads=reads, expires=expires)
    return caller and caller.user_id


async def reason_of(finding):
    with pytest.raises(UpstreamFailure) as caught:
        await finding
    return caught.value.reason


async def test_who_it_is(identities):
    credential = Credential(Kind.OPAQUE, "ada")
    caller = await identities.find(credential, reads=True, expires=asyncio.get_running_loop().time() + 2)
    assert (caller.user_id, caller.email, caller.account) == ("user_ada", "ada@example.com", ADA)
    assert "user_ada" not in caller.log_id
    assert "gateway-token" not in repr(caller)


async def test_is_asked_once_within_the_ttl(identities, users, clock):
    assert await find(identities) == "user_ada"
    clock.advance(TTL - 0.1)
    assert await find(identities) == "user_ada"
    assert len(users.asked) == 1
    clock.advance(0.2)
    assert await find(identities) == "user_ada"
    assert len(users.asked) == 2


async def test_that_nobody_has_it_is_known_too(identities, users, clock):
    assert await find(identities, "guess") is None
    users.sessions["guess"] = users.sessions["ada"]
    clock.advance(TTL - 0.1)
    assert await find(identities, "guess") is None
    assert len(users.asked) == 1
    clock.advance(0.2)
    assert await find(identities, "guess") == "user_ada"


async def test_a_deleted_session_stops_within_the_ttl_and_for_good(identities, users, clock):
    await find(identities)
    users.sessions.clear()
    clock.advance(TTL + 0.1)
    assert await find(identities) is None
    clock.advance(TTL + 0.1)
    users.trouble = DOWN
    assert await reason_of(find(identities)) is Reason.REFUSED


async def test_a_session_stops_the_moment_it_expires(identities, users, clock):
    users.sessions["ada"] = SessionOwner(ADA, clock.noon + timedelta(seconds=5))
    assert await find(identities) == "user_ada"
    clock.advance(4.9)
    assert await find(identities) == "user_ada"
    clock.advance(0.1)
    assert await find(identities) is None


async def test_an_expired_session_is_not_served_while_the_store_is_down(identities, users, clock):
    users.sessions["ada"] = SessionOwner(ADA, clock.noon + timedelta(seconds=5))
    await find(identities)
    users.trouble = DOWN
    clock.advance(5)
    assert await reason_of(find(identities)) is Reason.REFUSED


async def test_a_ttl_of_nothing_asks_every_time(users):
    identities = Identities(users, None, [], ttl=0, stale=STALE)
    for _ in range(3):
        assert await find(identities) == "user_ada"
    assert len(users.asked) == 3


async def test_many_at_once_ask_once(identities, users):
    assert await asyncio.gather(*(find(identities) for _ in range(50))) == ["user_ada"] * 50
    assert users.asked == ["ada"]


async def test_who_leads_may_leave(identities, users):
    leader = asyncio.create_task(find(identities))
    follower = asyncio.create_task(find(identities))
    await asyncio.sleep(0)
    leader.cancel()
    assert await follower == "user_ada"
    assert users.asked == ["ada"]


class TestWhileTheStoreIsDown:
    """An identity checked a short while ago still serves reads, and nothing else is known."""

    async def test_reads_are_served_until_the_identity_is_stale(self, identities, users, clock):
        await find(identities)
        users.trouble = DOWN
        clock.advance(STALE - 0.1)
        assert await find(identities) == "user_ada"
        clock.advance(0.1)
        assert await reason_of(find(identities)) is Reason.REFUSED

    async def test_writes_are_not(self, identities, users, clock):
        await find(identities)
        users.trouble = DOWN
        clock.advance(TTL - 0.1)
        assert await find(identities, reads=False) == "user_ada"
        clock.advance(0.1)
        assert await reason_of(find(identities, reads=False)) is Reason.REFUSED

    async def test_nobody_can_tell_of_a_new_session(self, identities, users):
        users.trouble = DOWN
        assert await reason_of(find(identities)) is Reason.REFUSED

    async def test_a_failure_is_not_remembered(self, identities, users):
        users.trouble = DOWN
        await reason_of(find(identities))
        users.trouble = None
        assert await find(identities) == "user_ada"

    async def test_all_who_wait_see_the_failure(self, identities, users):
        users.trouble = DOWN
        found = await asyncio.gather(*(find(identities) for _ in range(5)), return_exceptions=True)
        assert found == [DOWN] * 5
        assert users.asked == ["ada"]

    async def test_a_store_that_hangs_takes_no_longer_than_the_request_has(self, identities, users):
        users.hung = True
        loop = asyncio.get_running_loop()
        before = loop.time()
        assert await reason_of(find(identities, within=2.0)) is Reason.TIMEOUT
        assert loop.time() - before == pytest.approx(2.0)
        await identities.close()

    async def test_a_store_that_hangs_leaves_reads_what_is_known(self, identities, users, clock):
        await find(identities)
        clock.advance(TTL + 1)
        users.hung = True
        assert await find(identities) == "user_ada"
        await identities.close()


def session(clock, user_id=ADA.user_id, lasts=3600, **claims):
    expires = (clock.noon + timedelta(seconds=lasts)).timestamp()
    return token({"sub": user_id, "email": "claimed@example.com", "exp": expires, **claims})


class TestEncrypted:
    """A NextAuth session says itself who it is; the store only adds the way to the user's gateway."""

    async def caller(self, identities, token, *, reads=True):
        expires = asyncio.get_running_loop().time() + 2
        return await identities.find(Credential(Kind.NEXTAUTH, token), reads=reads, expires=expires)

    async def test_who_it_is(self, identities, clock):
        caller = await self.caller(identities, session(clock))
        assert (caller.user_id, caller.email, caller.account) == ("user_ada", "ada@example.com", ADA)

    async def test_a_user_missing_from_the_store_is_still_one(self, identities, clock):
        caller = await self.caller(identities, session(clock, "user_gone"))
        assert caller.account == Account("user_gone", "claimed@example.com")

    async def test_it_works_without_the_store_for_reads_and_writes(self, identities, users, clock):
        users.trouble = DOWN
        for reads in (True, False):
            caller = await self.caller(identities, session(clock), reads=reads)
            assert caller.user_id == "user_ada"
            with pytest.raises(UpstreamFailure):
                _ = caller.account

    async def test_what_the_store_could_not_add_is_asked_again(self, identities, users, clock):
        users.trouble = DOWN
        await self.caller(identities, session(clock))
        users.trouble = None
        assert (await self.caller(identities, session(clock))).account == ADA

    async def test_the_account_known_from_before_serves_reads(self, identities, users, clock):
        mine = session(clock)
        await self.caller(identities, mine)
        users.trouble = DOWN
        clock.advance(TTL + 1)
        assert (await self.caller(identities, mine)).account == ADA
        assert (await self.caller(identities, mine, reads=False)).found is DOWN

    async def test_it_stops_the_moment_it_expires(self, identities, users, clock):
        mine = session(clock, lasts=5)
        assert await find(identities, mine, Kind.NEXTAUTH) == "user_ada"
        clock.advance(5)
        assert await find(identities, mine, Kind.NEXTAUTH) is None
        assert len(users.asked) == 1

    async def test_an_expired_or_foreign_one_is_nobodys_and_nothing_is_asked(self, identities, users, clock):
        assert await find(identities, session(clock, lasts=0), Kind.NEXTAUTH) is None
        assert await find(identities, "a.b.c.d.e", Kind.NEXTAUTH) is None
        assert users.asked == []

    async def test_without_a_secret_it_is_nobodys(self, users, clock):
        identities = Identities(users, None, [], ttl=TTL, stale=STALE)
        assert await find(identities, session(clock), Kind.NEXTAUTH) is None


class TestKinds:
    """A token counts only where it belongs, and what is known of it there says nothing of it elsewhere."""

    async def test_an_opaque_token_in_the_nextauth_cookie_is_nobodys(self, identities, users):
        assert await find(identities, "ada") == "user_ada"
        assert await find(identities, "ada", Kind.NEXTAUTH) is None
        assert await find(identities, "ada") == "user_ada"

    async def test_an_encrypted_token_as_bearer_is_nobodys(self, identities, users, clock):
        mine = session(clock)
        assert await find(identities, mine, Kind.NEXTAUTH) == "user_ada"
        assert await find(identities, mine) is None
        assert await find(identities, mine, Kind.NEXTAUTH) == "user_ada"
        assert users.asked == ["user_ada", mine]


async def test_closing_ends_what_is_in_flight(identities, users):
    users.hung = True
    finding = asyncio.create_task(find(identities))
    await settle()
    await identities.close()
    with pytest.raises(asyncio.CancelledError):
        await finding


@pytest.mark.parametrize(
    ("email", "admins", "is_admin"),
    [
        ("ada@example.com", ["ada@example.com"], True),
        ("Ada@Example.COM", ["ada@example.com"], True),
        ("ada@example.com", ["ADA@example.com "], True),
        ("ada@example.com", ["bob@example.com", " ada@example.com"], True),
        ("ada@example.com", [], False),
        ("ada@example.com", ["bob@example.com"], False),
        ("ada@example.com", ["ada@example.com.evil.com"], False),
        ("xada@example.com", ["ada@example.com"], False),
        (None, ["ada@example.com"], False),
        (None, ["", "None"], False),
        ("", ["", " "], False),
    ],
)
async def test_admins_are_named_by_their_email(users, clock, email, admins, is_admin):
    users.sessions["ada"] = SessionOwner(Account("user_ada", email), clock.noon + timedelta(days=1))
    identities = Identities(users, None, admins, ttl=TTL, stale=STALE)
    credential = Credential(Kind.OPAQUE, "ada")
    caller = await identities.find(credential, reads=True, expires=asyncio.get_running_loop().time() + 2)
    assert caller.is_admin is is_admin

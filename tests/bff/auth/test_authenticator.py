"""What an operation demands of its caller."""

import asyncio

import pytest

from bff.auth.authenticator import Authenticator
from bff.auth.credentials import CredentialReader
from bff.plans import Access, Refused
from tests.bff.asking import caller, failure
from upstreams.failure import UpstreamFailure

READER = CredentialReader(["session"], ["next"])


class Identities:
    """Knows callers by token; one that is a failure is raised."""

    def __init__(self, **known):
        self._known = known
        self.asked = []

    async def find(self, credential, *, reads, expires):
        self.asked.append((credential.kind.value, credential.token, reads))
        found = self._known.get(credential.token)
        if isinstance(found, UpstreamFailure):
            raise found
        return found


async def admit(identities, access=Access.SESSION, *, cookie="session=a", admins=(), reads=True, **headers):
    given = {b"cookie": cookie.encode(), **{name.encode(): value.encode() for name, value in headers.items()}}
    authenticator = Authenticator(READER, identities, admins)
    expires = asyncio.get_running_loop().time() + 2
    return await authenticator.admit(given, access, reads=reads, expires=expires)


async def refusal(*args, **options):
    with pytest.raises(Refused) as caught:
        await admit(*args, **options)
    return caught.value.status, caught.value.error


async def test_anyone_is_not_even_looked_up():
    identities = Identities(a=caller("ada"))
    assert (await admit(identities, Access.ANYONE)).user_id == ""
    assert identities.asked == []


async def test_a_session_is_needed():
    assert (await admit(Identities(a=caller("ada")))).user_id == "ada"
    assert await refusal(Identities()) == (401, "Unauthorized")
    assert await refusal(Identities(), cookie="") == (401, "Unauthorized")


async def test_the_first_credential_that_is_somebodys_counts():
    identities = Identities(b=caller("bob"), n=caller("nora"))
    found = await admit(identities, cookie="session=a; next=n", authorization="Bearer b", reads=False)
    assert found.user_id == "bob"
    assert identities.asked == [("opaque", "a", False), ("opaque", "b", False)]


async def test_when_nobody_can_tell_of_one_the_others_do_not_stand_in():
    down = failure("user_store")
    with pytest.raises(UpstreamFailure) as caught:
        await admit(Identities(a=down, n=caller("nora")), cookie="session=a; next=n")
    assert caught.value is down


@pytest.mark.parametrize(
    ("email", "admins", "admitted"),
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
async def test_admins_are_named_by_their_email(email, admins, admitted):
    identities = Identities(a=caller("ada", email))
    if admitted:
        assert (await admit(identities, Access.ADMIN, admins=admins)).email == email
    else:
        assert await refusal(identities, Access.ADMIN, admins=admins) == (403, "Unauthorized")


async def test_without_a_session_nobody_is_an_admin():
    assert await refusal(Identities(), Access.ADMIN, admins=["ada@example.com"]) == (403, "Unauthorized")

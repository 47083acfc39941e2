"""Who may come in: anyone, whoever has a session, an admin."""

import asyncio
from datetime import UTC, datetime

import pytest

from bff.auth.credentials import CredentialReader
from bff.auth.doors import AdminDoor, OpenDoor, SessionDoor
from bff.auth.identities import Identity
from bff.auth.sessions import Sessions
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


def door(sessions, access=Access.SESSION):
    match access:
        case Access.ANYONE:
            return OpenDoor()
        case Access.ADMIN:
            return AdminDoor(sessions)
    return SessionDoor(sessions, status=403 if access is Access.OWNER else 401)


async def admit(identities, access=Access.SESSION, *, cookie="session=a", reads=True, **headers):
    given = {b"cookie": cookie.encode(), **{name.encode(): value.encode() for name, value in headers.items()}}
    expires = asyncio.get_running_loop().time() + 2
    return await door(Sessions(READER, identities), access).admit(given, reads=reads, expires=expires)


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
    assert await refusal(Identities(), Access.OWNER) == (403, "Unauthorized")


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


async def test_only_admins_are_let_in_as_such():
    identities = Identities(a=caller("ada", is_admin=True), b=caller("bob"))
    assert (await admit(identities, Access.ADMIN)).user_id == "ada"
    assert await refusal(identities, Access.ADMIN, cookie="session=b") == (403, "Unauthorized")
    assert await refusal(Identities(), Access.ADMIN) == (403, "Unauthorized")


class Checked:
    """Knows callers by token without asking, as long as they are current."""

    def __init__(self, **known):
        self._known = {token: Identity(who, datetime.max.replace(tzinfo=UTC), 0.0) for token, who in known.items()}
        self.current = True
        self.searched = []

    def known(self, credential):
        self.searched.append(credential.token)
        return self._known.get(credential.token) if self.current else None

    def is_current(self, identity):
        return self.current

    def forget(self):
        self._known.clear()


def known(sessions, cookie=None, authorization=None, access=Access.SESSION):
    given = {b"cookie": cookie, b"authorization": authorization}
    headers = {name: value.encode() for name, value in given.items() if value is not None}
    found = door(sessions, access).known(headers)
    return found and found.user_id


def test_the_headers_of_someone_known_are_read_once():
    checked = Checked(a=caller("ada"))
    sessions = Sessions(READER, checked)
    assert [known(sessions, "session=a") for _ in range(3)] == ["ada"] * 3
    assert checked.searched == ["a"]


def test_who_is_no_longer_current_is_no_longer_known():
    checked = Checked(a=caller("ada"))
    sessions = Sessions(READER, checked)
    assert known(sessions, "session=a") == "ada"
    checked.current = False
    assert known(sessions, "session=a") is None
    checked.forget()
    checked.current = True
    assert known(Sessions(READER, checked), "session=a") is None


def test_only_the_first_credential_counts_as_known():
    """The first may be somebody's whom only asking tells."""
    sessions = Sessions(READER, Checked(b=caller("bob"), n=caller("nora")))
    assert known(sessions, "session=a; next=n", "Bearer b") is None
    assert known(sessions, "session=b; next=n") == "bob"
    assert known(sessions, "next=n", "Bearer b") == "bob"
    assert known(sessions, "next=n") == "nora"


def test_what_one_header_ends_with_is_not_what_the_other_begins_with():
    """Each pair of headers, joined, gives the same bytes."""
    joined = "session=aBearer b"
    splits = [(joined[:at], joined[at:]) for at in range(len(joined) + 1)]
    tokens = {"a": caller("ada"), "b": caller("bob"), "aBearer b": caller("carol")}
    remembering = Sessions(READER, Checked(**tokens))
    expected = [known(Sessions(READER, Checked(**tokens)), *split) for split in splits]
    assert {"ada", "bob", "carol", None} >= set(expected) >= {"ada", "carol", None}
    for _ in range(2):
        assert [known(remembering, *split) for split in splits] == expected
        assert [known(remembering, *split) for split in reversed(splits)] == expected[::-1]


def test_a_length_does_not_run_into_what_it_measures():
    """Were the length alone in front, "1" and "1:…" could be told as "11" and ":…"."""
    cookie = "session=a" + " " * 2
    sessions = Sessions(READER, Checked(a=caller("ada"), b=caller("bob")))
    assert known(sessions, cookie, "Bearer b") == "ada"
    assert known(sessions, f"1:{cookie}", "Bearer b") == "bob"
    assert known(sessions, cookie) == "ada"
    assert known(sessions, None, f"{cookie}Bearer b") is None
    assert known(sessions, "", "Bearer b") == known(sessions, None, "Bearer b") == "bob"


def test_being_known_does_not_make_an_admin():
    sessions = Sessions(READER, Checked(a=caller("ada", is_admin=True), b=caller("bob")))
    for access, bob in ((Access.SESSION, "bob"), (Access.ADMIN, None)) * 2:
        assert known(sessions, "session=b", access=access) == bob
        assert known(sessions, "session=a", access=access) == "ada"
        assert known(sessions, access=access) is None


def test_anyone_is_known():
    checked = Checked()
    assert known(Sessions(READER, checked), "session=a", access=Access.ANYONE) == ""
    assert checked.searched == []


@pytest.mark.parametrize(
    "cookie", ["", "session=", "session=\x00", f"session={'a' * 20_000}", "other=a", "session"]
)
def test_without_a_credential_nobody_is_known(cookie):
    checked = Checked(a=caller("ada"))
    assert known(Sessions(READER, checked), cookie) is None
    assert checked.searched == []

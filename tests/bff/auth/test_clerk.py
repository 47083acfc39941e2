"""Clerk session tokens: what is believed of a good one, and what makes it a bad one."""

from datetime import UTC, datetime

import pytest

from bff.auth import clerk
from bff.auth.clerk import ClerkClaims
from tests.bff.auth.clerk_tokens import CLAIMS, ISSUER, NOW, VERSION_1, VERSION_2, token, verify, without

EXPIRES = datetime.fromtimestamp(NOW + 60, UTC)
ADMIN = ClerkClaims("user_1", "org_1", "org:admin", EXPIRES)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(clerk, "utc_now", lambda: datetime.fromtimestamp(NOW, UTC))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (VERSION_1, ADMIN),
        (VERSION_2, ADMIN),
        (VERSION_1 | {"v": 1}, ADMIN),
        (VERSION_1 | {"org_role": "org:member"}, ClerkClaims("user_1", "org_1", "org:member", EXPIRES)),
        (
            VERSION_2 | {"o": {"id": "org_2", "rol": "member"}},
            ClerkClaims("user_1", "org_2", "org:member", EXPIRES),
        ),
        (CLAIMS, ClerkClaims("user_1", None, None, EXPIRES)),
        (CLAIMS | {"v": 2}, ClerkClaims("user_1", None, None, EXPIRES)),
        (CLAIMS | {"v": 2, "o": None}, ClerkClaims("user_1", None, None, EXPIRES)),
        (CLAIMS | {"org_id": None, "org_role": None}, ClerkClaims("user_1", None, None, EXPIRES)),
        (CLAIMS | {"org_id": "", "org_role": "org:admin"}, ClerkClaims("user_1", None, None, EXPIRES)),
        (CLAIMS | {"org_id": "org_1"}, ClerkClaims("user_1", "org_1", None, EXPIRES)),
        # The organization of the other version is none.
        (VERSION_1 | {"v": 2}, ClerkClaims("user_1", None, None, EXPIRES)),
        (without(VERSION_2, "v"), ClerkClaims("user_1", None, None, EXPIRES)),
    ],
    ids=str,
)
async def test_who_has_the_token(claims, expected):
    assert await verify(token(claims)) == expected


@pytest.mark.parametrize(
    "claims",
    [
        without(CLAIMS, "sub"),
        CLAIMS | {"sub": ""},
        CLAIMS | {"sub": None},
        CLAIMS | {"sub": 7},
        CLAIMS | {"sub": "user\n1"},
        CLAIMS | {"sub": "user\0"},
        CLAIMS | {"sub": "u" * 256},
        VERSION_1 | {"org_id": 7},
        VERSION_1 | {"org_id": "org\r\n"},
        VERSION_1 | {"org_id": "o" * 256},
        VERSION_1 | {"org_role": ["org:admin"]},
        VERSION_2 | {"v": 3},
        VERSION_2 | {"v": "2"},
        VERSION_2 | {"v": True},
        VERSION_2 | {"o": "org_1"},
        VERSION_2 | {"o": {}},
        VERSION_2 | {"o": {"id": "org_1"}},
        VERSION_2 | {"o": {"id": "", "rol": "admin"}},
        VERSION_2 | {"o": {"id": "org\0", "rol": "admin"}},
        VERSION_2 | {"o": {"id": "org_1", "rol": "ad\nmin"}},
        [],
        "user_1",
        None,
        b"",
        b"{",
        b"\xff",
        b'{"sub": NaN}',
        b"[" * 10_000,
    ],
    ids=lambda claims: ascii(claims)[:60],
)
async def test_claims_that_say_nothing_usable(claims):
    assert await verify(token(claims)) is None


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": NOW - 4}, True),
        ({"exp": NOW - 4.9}, True),
        ({"exp": NOW - 5}, False),
        ({"exp": NOW - 3600}, False),
        ({"exp": 0}, False),
        ({"exp": 253_402_300_799}, True),
        ({"exp": 253_402_300_800}, False),
        ({"exp": 10**30}, False),
        ({"exp": -1}, False),
        ({"exp": None}, False),
        ({"exp": str(NOW + 60)}, False),
        ({"exp": True}, False),
        ({"nbf": NOW + 5}, True),
        ({"nbf": NOW + 6}, False),
        ({"nbf": NOW + 3600}, False),
        ({"nbf": str(NOW)}, False),
        ({"nbf": None}, False),
        ({"iss": ISSUER + "/"}, False),
        ({"iss": "https://clerk.example.com.evil.com"}, False),
        ({"iss": ""}, False),
        ({"iss": None}, False),
        ({"iss": [ISSUER]}, False),
        ({"azp": "https://evil.example.com"}, False),
        ({"azp": "https://app.example.com/"}, False),
        ({"azp": ""}, False),
        ({"azp": ["https://app.example.com"]}, False),
        ({"azp": None}, True),
        ({"aud": "anything"}, True),
    ],
    ids=str,
)
async def test_when_by_whom_and_for_whom(claims, good):
    assert (await verify(token(VERSION_2 | claims)) is not None) is good


@pytest.mark.parametrize(("name", "good"), [("exp", False), ("iss", False), ("nbf", True), ("azp", True)])
async def test_claims_that_may_be_missing(name, good):
    assert (await verify(token(without(VERSION_2, name))) is not None) is good


async def test_without_authorized_parties_a_token_may_be_any_partys():
    assert await verify(token(VERSION_2 | {"azp": "https://other.example.com"}), parties=()) == ADMIN


async def test_there_may_be_no_leeway():
    assert await verify(token(VERSION_2 | {"exp": NOW}), leeway=0) is None
    assert await verify(token(VERSION_2 | {"exp": NOW + 1}), leeway=0) is not None

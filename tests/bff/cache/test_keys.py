"""One user's answer is never another's: what a key is made of."""

from dataclasses import dataclass, replace
from itertools import combinations

import pytest

from bff.cache.keys import answer_key, credential_key, idempotency_key, source_key
from bff.endpoints import PLANS
from bff.plans import Scope
from contracts import Document
from tests.bff.asking import ask, plan

PLAN = plan()
TRICKY = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "a:b",
    "a|b",
    "a\0",
    "a', 'b",
    "('a',)",
    "None",
    "everyone",
    "\u00e9",
    "e\u0301",
]


@dataclass(frozen=True)
class Query:
    text: str


def key_of(plan, ask):
    return answer_key(plan, ask.caller, ask.query)


def test_users_never_share():
    keys = [key_of(PLAN, ask(user=user)) for user in TRICKY]
    assert all(one != other for one, other in combinations(keys, 2))


def test_parts_do_not_run_into_each_other():
    pairs = [("a", "bc"), ("ab", "c"), ("a:b", "c"), ("a", "b:c"), ("", "abc"), ("abc", "")]
    keys = [key_of(PLAN, ask(Query(text), user=user)) for user, text in pairs]
    assert all(one != other for one, other in combinations(keys, 2))


def test_equal_questions_are_equal_whenever_they_are_asked(clock):
    later = replace(ask(Query("a")), now=clock.utc_now().replace(year=2030))
    assert key_of(PLAN, ask(Query("a"))) == key_of(PLAN, later)


def test_other_questions_are_not():
    assert key_of(PLAN, ask(Query("a"))) != key_of(PLAN, ask(Query("b")))


@pytest.mark.parametrize("scope", [Scope.ADMINS, Scope.EVERYONE])
def test_who_shares_an_answer_has_one_key(scope):
    shared = plan(shared_by=scope)
    assert key_of(shared, ask(user="ada")) == key_of(shared, ask(user="bob"))


def test_those_who_share_are_not_mixed():
    keys = [key_of(plan(shared_by=scope), ask(user="everyone")) for scope in Scope]
    assert len(set(keys)) == len(Scope)


def test_operations_never_share():
    keys = {key_of(each, ask()) for each in PLANS}
    assert len(keys) == len(PLANS)


def test_an_answer_of_another_shape_is_another_answer():
    class Note(Document):
        some_text: str
        more: int

    assert key_of(plan(answer=Note), ask()) != key_of(PLAN, ask())
    assert key_of(plan(), ask()) == key_of(PLAN, ask())


def test_every_key_can_be_looked_up_by():
    for each in PLANS:
        assert isinstance(hash(key_of(each, ask(each.query.parse({"agent_id": "a", "instance_id": "i"})))), int)


def test_sources_are_told_apart():
    assert len({source_key("gateway", "a"), source_key("gateway", "b"), source_key("services", "a")}) == 3
    assert source_key("a", "b") not in {key_of(PLAN, ask(user=user)) for user in TRICKY}


def test_a_credential_is_kept_as_its_hash():
    key = credential_key("opaque", "hunter2")
    assert len(key) == 32
    assert b"hunter2" not in key
    assert key == credential_key("opaque", "hunter2")
    assert len({key, credential_key("nextauth", "hunter2"), credential_key("opaque", "hunter3")}) == 3


def test_clients_keys_are_told_apart_by_all_their_parts():
    parts = [*TRICKY, "ab", "bc", "abc", "1:a", "a1:b"]
    keys = {idempotency_key((operation, user), key) for operation in parts for user in parts for key in parts}
    assert len(keys) == len(parts) ** 3
    assert not keys & {idempotency_key((one,), key) for one in parts for key in parts}


def test_a_clients_key_is_kept_as_its_hash():
    key = idempotency_key(("agents.provision", "ada"), "hunter2")
    assert len(key) == 32
    assert b"hunter2" not in key
    assert key == idempotency_key(("agents.provision", "ada"), "hunter2")

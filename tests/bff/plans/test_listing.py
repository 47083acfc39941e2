"""``bff plans``: every plan, its sources and what happens without them, as a person reads it."""

from bff.endpoints import ACTIONS, PLANS
from bff.plans import Keep, Scope, Shared, optional, required
from bff.plans.listing import listing
from contracts import Document
from tests.bff.asking import plan


async def fetch(clients, ask):
    raise AssertionError("a listing asks nothing")


STORE = required("user_store", fetch)
GATEWAY = optional("gateway", fetch, otherwise=False, stands_in="gateway down", shared=Shared(5, lambda *_: ""))


def lines(*plans):
    return listing(plans, ()).splitlines()


def test_a_plan():
    note = plan(STORE, GATEWAY, keep=Keep(5, 30, 600), shared_by=Scope.EVERYONE, deadline=4.5)
    assert lines(note)[:4] == [
        "test.note  GET /note  (document 000)",
        "    asked by session; shared by everyone; deadline 4.5 s; kept 5/30/600 s",
        "    user_store required               else a kept copy, else 500",
        "    gateway    optional, shared 5 s   else gateway down",
    ]


def test_without_a_time_on_error_no_copy_is_promised():
    assert lines(plan(STORE, keep=Keep(5, 30, 0)))[2].endswith("else 500")


def test_a_documented_body_stands_in():
    zeros = plan(STORE, keep=Keep(5, 30, 0), fallback=Document())
    assert lines(zeros)[2].endswith("else the documented zeros")


def test_every_plan_with_every_source():
    text = listing(PLANS, ACTIONS)
    for each in PLANS:
        part = text[text.index(f"{each.name}  GET {each.path}") :].split("\n\n")[0]
        first = [each.subject.upstream] if each.subject else []
        asked = first + [source.upstream for source in each.sources]
        assert [line.split()[0] for line in part.splitlines()[2:]] == asked


def test_every_action_with_what_it_asks_and_changes():
    text = listing(PLANS, ACTIONS)
    for each in ACTIONS:
        part = text[text.index(f"{each.name}  {each.method} {each.path}") :].split("\n\n")[0]
        assert all(upstream in part for upstream in each.asks)
        assert all(plan in part for plan in each.changes)


def test_it_says_what_the_times_are():
    assert lines()[-1].startswith("Kept: fresh / ")

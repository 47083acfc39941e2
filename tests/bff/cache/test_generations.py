"""Which of a user's answers are still good after a write, and that nothing forgotten brings an old one back."""

from bff.cache import generations
from bff.cache.generations import Generations

ADA, BOB = ("ada",), ("bob",)


def test_a_write_begins_a_new_one_of_that_plan_and_user_alone(clock):
    known = Generations()
    before = known.current("data", ADA)
    clock.advance(1)
    known.begin("data", ADA)
    after = known.current("data", ADA)
    assert (after.number != before.number, after.since) == (True, clock.now)
    assert known.current("stats", ADA) == known.current("data", BOB) == before


def test_reading_keeps_nothing():
    known = Generations()
    for number in range(1000):
        known.current("data", (str(number),))
    assert known._begun == {}


def test_what_is_forgotten_brings_no_old_answer_back(clock, monkeypatch):
    monkeypatch.setattr(generations, "_MAX_GENERATIONS", 2)
    known = Generations()
    seen = {known.current("data", ADA).number}
    for owner in (ADA, BOB, ("carol",), ("dan",)):
        known.begin("data", owner)
        number = known.current("data", owner).number
        assert number not in seen
        seen.add(number)
    assert known.current("data", ADA).number not in seen
    assert len(known._begun) == 2

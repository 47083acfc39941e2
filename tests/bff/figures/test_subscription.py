"""Plan prices and agent limits, as the document's two tables give them."""

import pytest

from bff.figures.subscription import agent_limit, monthly_cost, plan_name


@pytest.mark.parametrize(
    ("plan", "dollars", "agents"),
    [
        ("free", 0, 1),
        ("solo", 29, 1),
        ("starter", 29, 1),
        ("underground", 29, 1),
        ("collective", 69, 3),
        ("pro", 69, 3),
        ("label", 149, 10),
        ("scale", 149, 10),
        ("network", 499, 100),
        ("enterprise", 499, 100),
        ("Pro", 69, 3),
        ("ENTERPRISE", 499, 100),
        ("platinum", 0, 1),
        ("", 0, 1),
        (None, 0, 1),
    ],
)
def test_a_plan_has_a_price_and_a_limit(plan, dollars, agents):
    assert (monthly_cost(plan), agent_limit(plan)) == (dollars, agents)


@pytest.mark.parametrize(("stored", "shown"), [(None, "free"), ("Solo", "Solo"), ("odd", "odd")])
def test_a_plan_shows_as_stored(stored, shown):
    assert plan_name(stored) == shown

"""One bucket for every calendar month of the range, oldest first."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.figures.trend import MONTHS, month_index, range_days, trend
from contracts.dashboard import TrendBucket

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
NOW = datetime(2026, 4, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [("30", 30), ("90", 90), ("180", 180), ("365", 365)]
    + [
        (text, 180)
        for text in (
            None,
            "",
            "7",
            "0",
            "-30",
            "030",
            " 30",
            "30 ",
            "30.0",
            "+30",
            "3e1",
            "1e2",
            "\uff13\uff10",
            "\uff11\uff18\uff10",
            "all",
        )
    ],
)
def test_a_range_is_one_of_four_or_the_default(text, days):
    assert range_days(text) == days


@pytest.mark.parametrize(
    ("now", "days", "labels"),
    [
        pytest.param(NOW, 30, "Mar Apr", id="30 days"),
        pytest.param(NOW, 90, "Jan Feb Mar Apr", id="90 days"),
        pytest.param(NOW, 180, "Oct Nov Dec Jan Feb Mar Apr", id="180 days cross the year"),
        pytest.param(
            NOW, 365, "Apr May Jun Jul Aug Sep Oct Nov Dec Jan Feb Mar Apr", id="365 days have two Aprils"
        ),
        pytest.param(datetime(2026, 3, 1, tzinfo=UTC), 30, "Jan Feb Mar", id="30 days over all of February"),
        pytest.param(datetime(2026, 1, 31, tzinfo=UTC), 30, "Jan", id="30 days inside one month"),
        pytest.param(
            datetime(2026, 5, 1, 1, tzinfo=timezone(timedelta(hours=2))), 30, "Mar Apr", id="the month is UTC's"
        ),
    ],
)
def test_months_of_a_range(now, days, labels):
    buckets = trend([], now - timedelta(days=days), now)
    assert [bucket.label for bucket in buckets] == labels.split()
    assert all((bucket.deployments, bucket.skills, bucket.tasks) == (0, 0, 0) for bucket in buckets)


def test_items_are_in_their_own_months_bucket():
    april = month_index(NOW)
    months = [
        (april - 12, 1, 2, 3),
        (april, 4, 0, 0),
        (april, 0, 5, 6),
        (april - 13, 9, 9, 9),
        (april + 1, 9, 9, 9),
    ]

    buckets = trend(months, NOW - timedelta(days=365), NOW)

    assert buckets[0] == TrendBucket(label="Apr", deployments=1, skills=2, tasks=3)
    assert buckets[-1] == TrendBucket(label="Apr", deployments=4, skills=5, tasks=6)
    assert sum(bucket.deployments + bucket.skills + bucket.tasks for bucket in buckets) == 6 + 15


@PROPERTY
@given(
    now=st.timedeltas(timedelta(days=-9000), timedelta(days=9000)).map(lambda away: NOW + away),
    days=st.sampled_from([30, 90, 180, 365]),
    rows=st.lists(st.tuples(st.integers(24_000, 24_640), *[st.integers(0, 10**6)] * 3), max_size=20),
)
def test_months_are_contiguous_from_the_first_to_the_current_one(now, days, rows):
    since = now - timedelta(days=days)
    buckets = trend(rows, since, now)
    positions = [MONTHS.index(bucket.label) for bucket in buckets]
    assert positions[0] == since.month - 1
    assert positions[-1] == now.month - 1
    assert all(after == (before + 1) % 12 for before, after in pairwise(positions))
    assert len(buckets) == (now.year - since.year) * 12 + now.month - since.month + 1
    inside = [row for row in rows if month_index(since) <= row[0] <= month_index(now)]
    assert sum(bucket.tasks for bucket in buckets) == sum(row[3] for row in inside)

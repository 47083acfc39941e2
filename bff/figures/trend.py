"""Monthly buckets of the dashboard analytics (document 000, "Dashboard analytics"). Months are UTC's."""

from collections.abc import Iterable
from datetime import UTC, datetime

from contracts.dashboard import TrendBucket

# English whatever the locale, which strftime's %b is not.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_RANGES = {"30": 30, "90": 90, "180": 180, "365": 365}


def range_days(text: str | None) -> int:
    """Return the days that the query's ``range`` asks for; anything but an accepted value is 180."""
    return _RANGES.get(text or "", 180)


def month_index(moment: datetime) -> int:
    """Return the number of the month that an aware ``moment`` is in: ``year * 12 + month - 1``."""
    moment = moment.astimezone(UTC)
    return moment.year * 12 + moment.month - 1


def trend(months: Iterable[tuple[int, int, int, int]], since: datetime, now: datetime) -> list[TrendBucket]:
    """Return one bucket for every calendar month from ``since``'s to ``now``'s, oldest first.

    ``months`` holds (month index, deployments, skills, tasks); rows of one month add up, months outside are
    ignored. Both moments are aware.
    """
    buckets = {index: [0, 0, 0] for index in range(month_index(since), month_index(now) + 1)}
    for index, *counts in months:
        if index in buckets:
            buckets[index] = [sum(pair) for pair in zip(buckets[index], counts, strict=True)]
    return [
        TrendBucket(label=MONTHS[index % 12], deployments=deployments, skills=skills, tasks=tasks)
        for index, (deployments, skills, tasks) in buckets.items()
    ]

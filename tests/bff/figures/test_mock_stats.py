"""The figures of an agent of which nobody can tell."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bff.figures.mock_stats import mock_stats

NOON = datetime(2026, 4, 4, 12, tzinfo=UTC)


def test_two_calls_in_a_minute_agree():
    assert mock_stats("a1", NOON) == mock_stats("a1", NOON + timedelta(seconds=59.9))


def test_another_minute_or_agent_has_others():
    assert len({mock_stats(*each).messages_processed for each in (("a1", NOON), ("a2", NOON), ("a3", NOON))}) > 1
    assert mock_stats("a1", NOON) != mock_stats("a1", NOON + timedelta(minutes=1))


@given(st.text(), st.datetimes(timezones=st.just(UTC)))
def test_plausible(agent_id, now):
    stats = mock_stats(agent_id, now)
    success, error = Decimal(stats.success_rate), Decimal(stats.error_rate)
    assert success + error == Decimal("100.00")
    assert 90 <= success < 100
    assert success.as_tuple().exponent == error.as_tuple().exponent == -2
    assert 0 < stats.messages_per_hour <= stats.messages_processed * 24
    assert stats.agent_id == agent_id

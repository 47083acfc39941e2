"""Plausible figures for an agent of which nobody can tell (document 004, "Response (mock fallback)")."""

import random
from datetime import datetime

from contracts.agents import MockStats


def mock_stats(agent_id: str, now: datetime) -> MockStats:
    """Return figures that only the agent and the minute decide, so that two calls agree."""
    minute = now.replace(second=0, microsecond=0)
    chance = random.Random(f"{agent_id} {minute.isoformat()}")  # noqa: S311 - figures, no secrets
    failing = chance.randint(50, 800)  # in hundredths of a percent
    return MockStats(
        agent_id=agent_id,
        messages_processed=chance.randint(500, 5_000),
        messages_per_hour=chance.randint(10, 500),
        average_response_time=chance.randint(200, 1_500),
        uptime=chance.randint(3_600, 86_400),
        success_rate=_percent(10_000 - failing),
        error_rate=_percent(failing),
        timestamp=minute,
    )


def _percent(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02}"

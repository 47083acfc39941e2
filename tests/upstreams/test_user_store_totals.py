"""Given what the platform's database holds, the user store counts this; the counting is the database's."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.stores import (
    NOW,
    SINCE,
    TODAY,
    Database,
    agent_row,
    installed_row,
    skill_row,
    task_row,
    user_row,
    utc,
)
from upstreams.user_store import (
    ExpiringTrial,
    MonthActivity,
    UserStore,
    tables,
)

OLD = utc(2020, 1, 1)


class TestInventory:
    async def test_counts_by_month_what_came_in_the_range(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        moments = [OLD, SINCE - timedelta(milliseconds=1), SINCE, utc(2026, 1, 31, 23), utc(2026, 2, 1), NOW]
        for number, moment in enumerate([*moments, NOW + timedelta(milliseconds=1)]):
            await database.add(tables.agent, agent_row(f"a{number}", "ada", createdAt=moment))
            await database.add(tables.scheduled_task, task_row("ada", moment))
        await database.add(tables.skill, skill_row("s"))
        await database.add(
            tables.installed_skill,
            installed_row("ada", "s", at=utc(2025, 12, 31, 23)),
            installed_row("ada", "s", at=utc(2026, 1, 1), enabled=False),
            installed_row("ada", "s", at=OLD),
        )

        inventory = await store.inventory("ada", SINCE, NOW)

        assert inventory is not None
        assert inventory.trend == (
            MonthActivity(2025 * 12 + 3, 1, 0, 1),
            MonthActivity(2025 * 12 + 11, 0, 1, 0),
            MonthActivity(2026 * 12, 1, 1, 1),
            MonthActivity(2026 * 12 + 1, 1, 0, 1),
            MonthActivity(2026 * 12 + 3, 1, 0, 1),
        )
        assert (inventory.agents_total, inventory.tasks_total, inventory.skills_enabled) == (7, 7, 2)

    async def test_names_the_six_most_installed_skills(self, database: Database, store: UserStore) -> None:
        await database.add(tables.user, user_row("ada"))
        names = ["mail", "chart", "alarm", "weather", "notes", "maps", "zebra", "off"]
        await database.add(tables.skill, *map(skill_row, names))
        installs = {"weather": 3, "zebra": 1, "mail": 2, "chart": 2, "alarm": 1, "notes": 1, "maps": 1}
        for name, number in installs.items():
            await database.add(tables.installed_skill, *(installed_row("ada", name) for _ in range(number)))
        disabled = [installed_row("ada", "off", enabled=False) for _ in range(9)]
        await database.add(tables.installed_skill, *disabled)

        inventory = await store.inventory("ada", SINCE, NOW)

        assert inventory is not None
        assert inventory.top_skills == (
            ("weather", 3),
            ("chart", 2),
            ("mail", 2),
            ("alarm", 1),
            ("maps", 1),
            ("notes", 1),
        )
        assert inventory.skills_enabled == 11

    async def test_of_ten_thousand_agents_is_counted_by_the_database(
        self, database: Database, store: UserStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await database.add(tables.user, user_row("ada"))
        moments = [NOW - timedelta(days=30 * number) for number in range(20)]
        agents = [agent_row(f"a{n}", "ada", createdAt=moments[n % 20]) for n in range(10_000)]
        await database.add(tables.agent, *agents)
        await database.add(tables.skill, *(skill_row(f"s{n:02}") for n in range(40)))
        skills = [
            installed_row("ada", f"s{n % 40:02}", enabled=n % 5 > 0, at=moments[n % 20]) for n in range(50_000)
        ]
        await database.add(tables.installed_skill, *skills)
        returned: list[int] = []
        fetch = store._database.pool.fetch

        async def counted(*arguments: Any) -> Any:
            rows = await fetch(*arguments)
            returned.append(len(rows))
            return rows

        monkeypatch.setattr(store._database.pool, "fetch", counted)
        inventory, counts = await store.inventory("ada", SINCE, NOW), await store.counts("ada", TODAY)

        assert inventory
        assert counts
        assert (inventory.agents_total, inventory.agents_live, inventory.skills_enabled) == (
            10_000,
            10_000,
            40_000,
        )
        assert sum(month.deployments for month in inventory.trend) == 13 * 500
        assert sum(month.skills for month in inventory.trend) == 13 * 2_500
        assert inventory.top_skills == tuple((f"s{n:02}", 1_250) for n in (1, 2, 3, 4, 6, 7))
        assert (counts.total, counts.skills_installed) == (10_000, 50_000)
        assert max(returned) < 48

    async def test_of_many_users_is_each_ones_own(self, database: Database, store: UserStore) -> None:
        dice = random.Random(7)
        users = [f"user-{number}" for number in range(20)]
        owners = {kind: dice.choices(users, k=120) for kind in ("agents", "skills", "tasks")}
        await database.add(tables.user, *map(user_row, users))
        await database.add(tables.skill, skill_row("s"))
        await database.add(tables.agent, *(agent_row(f"a{n}", u) for n, u in enumerate(owners["agents"])))
        await database.add(tables.installed_skill, *(installed_row(u, "s") for u in owners["skills"]))
        await database.add(tables.scheduled_task, *(task_row(u) for u in owners["tasks"]))
        expected = {kind: Counter(names) for kind, names in owners.items()}

        answers = await asyncio.gather(*(store.inventory(user, SINCE, NOW) for user in users))

        for user, inventory in zip(users, answers, strict=True):
            assert inventory is not None
            found = (inventory.agents_total, inventory.skills_enabled, inventory.tasks_total)
            assert found == tuple(expected[kind][user] for kind in ("agents", "skills", "tasks"))


class TestSummary:
    async def test_of_an_empty_platform(self, store: UserStore) -> None:
        summary = await store.summary(NOW)

        assert (summary.active_trials, summary.expiring, summary.totals, summary.recent_errors) == (0, (), {}, ())

    async def test_counts_trials_on_the_free_plan(self, database: Database, store: UserStore) -> None:
        later, soon = NOW + timedelta(days=9), NOW + timedelta(days=3)
        trials = [
            ("free", "free", later),
            ("null", None, later),
            ("empty", "", soon),
            ("over", "free", NOW),
            ("paying", "solo", soon),
            ("shouting", "FREE", soon),
            ("never", "free", None),
            ("next", "free", NOW + timedelta(milliseconds=1)),
            ("after", "free", soon + timedelta(milliseconds=1)),
        ]
        rows = [user_row(name, plan=plan, trialEndsAt=ends) for name, plan, ends in trials]
        await database.add(tables.user, *rows)
        await database.run("""UPDATE "User" SET email = NULL WHERE id = 'empty'""")

        summary = await store.summary(NOW)

        assert summary.active_trials == 5
        assert summary.expiring == (
            ExpiringTrial("next", "next@example.com", NOW + timedelta(milliseconds=1)),
            ExpiringTrial("empty", "", soon),
        )

    async def test_names_twelve_trials_and_five_failed_agents_at_most(
        self, database: Database, store: UserStore
    ) -> None:
        hours = list(range(1, 21))
        random.Random(3).shuffle(hours)
        users = [user_row(f"u{hour:02}", plan="free", trialEndsAt=NOW + timedelta(hours=hour)) for hour in hours]
        await database.add(tables.user, *users)
        failed = [
            agent_row(f"a{hour:02}", "u01", status="error", updatedAt=NOW - timedelta(hours=hour))
            for hour in hours
        ]
        await database.add(tables.agent, *failed, agent_row("fine", "u02"), agent_row("odd", "u02", status="odd"))

        summary = await store.summary(NOW)

        assert summary.active_trials == 20
        assert [trial.id for trial in summary.expiring] == [f"u{hour:02}" for hour in range(1, 13)]
        assert summary.totals == {"error": 20, "active": 1, "odd": 1}
        assert [agent.id for agent in summary.recent_errors] == ["a01", "a02", "a03", "a04", "a05"]
        assert summary.recent_errors[0].updated_at == NOW - timedelta(hours=1)

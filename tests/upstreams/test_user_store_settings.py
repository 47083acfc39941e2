"""Given the skills and credentials that a user has, the user store tells and changes them so."""

import asyncio
import re
from datetime import timedelta

import pytest

from tests.stores import (
    ABANDONED,
    NOW,
    Database,
    Row,
    agent_row,
    installed_row,
    naive,
    new_agent,
    setting_row,
    skill_row,
    user_row,
    utc,
)
from upstreams.user_store import InstalledSkill, UserStore, tables


class TestInstalledSkills:
    async def test_are_named_once_each(self, database: Database, store: UserStore) -> None:
        await database.add(
            tables.skill, skill_row("s1", "weather", "Forecasts"), skill_row("s2", "mail"), skill_row("s3", "off")
        )
        await database.add(
            tables.installed_skill,
            installed_row("ada", "s1", enabled=False),
            installed_row("ada", "s1"),
            installed_row("ada", "s2"),
            installed_row("ada", "s3", enabled=False),
            installed_row("bob", "s3"),
        )

        skills = await store.installed_skills("ada")

        assert skills == (
            InstalledSkill("s2", "mail", None, True),
            InstalledSkill("s3", "off", None, False),
            InstalledSkill("s1", "weather", "Forecasts", True),
        )
        assert {type(skill.enabled) for skill in skills} == {bool}

    async def test_are_a_thousand_at_most(self, database: Database, store: UserStore) -> None:
        names = [f"s{number:04}" for number in range(1001)]
        await database.add(tables.skill, *map(skill_row, names))
        await database.add(tables.installed_skill, *(installed_row("ada", name) for name in names))

        assert [skill.id for skill in await store.installed_skills("ada")] == names[:1000]

    @pytest.mark.parametrize("enabled", [True, False])
    async def test_are_switched_wherever_installed(
        self, database: Database, store: UserStore, enabled: bool
    ) -> None:
        await database.add(tables.skill, skill_row("s"), skill_row("other"))
        await database.add(
            tables.installed_skill,
            installed_row("ada", "s", enabled=True),
            installed_row("ada", "s", enabled=False),
            installed_row("ada", "other", enabled=not enabled),
        )

        assert await store.set_skill("ada", "s", enabled=enabled)

        kept = {(row["skillId"], row["enabled"]) for row in await database.rows(tables.installed_skill)}
        assert kept == {("s", enabled), ("other", not enabled)}

    @pytest.mark.parametrize("skill_id", ["", "missing", "bobs", "S", "%", "_"])
    async def test_that_the_user_lacks_are_not_switched(
        self, database: Database, store: UserStore, skill_id: str
    ) -> None:
        await database.add(tables.skill, skill_row("s"), skill_row("bobs"))
        await database.add(tables.installed_skill, installed_row("ada", "s"), installed_row("bob", "bobs"))
        before = await database.rows(tables.installed_skill)

        assert not await store.set_skill("ada", skill_id, enabled=False)

        assert await database.rows(tables.installed_skill) == before


class TestCredentials:
    async def test_are_the_names_with_a_value(self, database: Database, store: UserStore) -> None:
        await database.add(
            tables.user_setting,
            setting_row("ada", "credential:telegram"),
            setting_row("ada", "credential:discord", ""),
            setting_row("ada", "credential:openai", None),
            setting_row("ada", "CREDENTIAL:anthropic"),
            setting_row("ada", "credentials"),
            setting_row("ada", "theme"),
            setting_row("bob", "credential:google"),
        )

        assert await store.credentials("ada") == {"telegram"}
        assert await store.credentials("nobody") == frozenset()

    async def test_are_put_in_place_of_the_last(self, database: Database, store: UserStore) -> None:
        later = NOW + timedelta(microseconds=1999)
        await store.put_credential("ada", "telegram", "first", NOW)
        (first,) = await database.rows(tables.user_setting)
        await store.put_credential("ada", "telegram", "second", later)
        (second,) = await database.rows(tables.user_setting)

        assert re.fullmatch(r"setting_[0-9a-f]{32}", first["id"])
        assert (first["userId"], first["key"], first["value"]) == ("ada", "credential:telegram", "first")
        assert first["createdAt"] == first["updatedAt"] == naive(NOW)
        assert second == {**first, "value": "second", "updatedAt": naive(NOW + timedelta(milliseconds=1))}
        assert await store.credentials("ada") == {"telegram"}

    async def test_put_at_once_are_one(self, database: Database, store: UserStore) -> None:
        await asyncio.gather(*(store.put_credential("ada", "telegram", f"v{n}", NOW) for n in range(20)))

        assert len(await database.rows(tables.user_setting)) == 1


NEIGHBOURS = ["", "a", "ad", "ada_", "ada%", "ad_", "ad%", "_da", "%", "___", "ADA", "ada ", " ada", "ada'--"]


class TestOthers:
    async def test_rows_are_never_touched(self, database: Database, store: UserStore) -> None:
        long_ago = utc(2026, 4, 1)
        await database.add(tables.skill, skill_row("s"))
        for user in ["ada", *NEIGHBOURS]:
            await database.add(tables.user, user_row(user))
            await database.add(
                tables.agent, agent_row(f"of-{user}", user, status="provisioning", updatedAt=long_ago)
            )
            await database.add(tables.installed_skill, installed_row(user, "s"))
            await database.add(tables.user_setting, setting_row(user, "credential:telegram"))
        before = await _of_others(database)

        await store.agents("ada", now=NOW, abandoned_before=ABANDONED)
        await store.reserve_agent(new_agent("new", "ada"), limit=1, now=NOW, abandoned_before=ABANDONED)
        for agent_id in ["new", *(f"of-{user}" for user in NEIGHBOURS)]:
            await store.finish_agent(agent_id, "ada", status="running", websocket_url=None, now=NOW)
        await store.set_skill("ada", "s", enabled=False)
        await store.put_credential("ada", "telegram", "sealed", NOW)

        assert await _of_others(database) == before
        adas = await store.agents("ada", now=NOW, abandoned_before=ABANDONED)
        assert {agent.id: agent.status for agent in adas} == {"new": "running", "of-ada": "error"}
        assert not (await store.installed_skills("ada"))[0].enabled


async def _of_others(database: Database) -> list[Row]:
    kept = (tables.agent, tables.installed_skill, tables.user_setting)
    return [row for table in kept for row in await database.rows(table) if row["userId"] != "ada"]

"""The statements about what a user switches and keeps: installed skills and credentials."""

from sqlalchemy import Boolean, Text, func, select, update

# SQLite takes it too: the words of its upsert are PostgreSQL's.
from sqlalchemy.dialects.postgresql import insert

from upstreams.user_store.tables import installed_skill, skill, user_setting
from upstreams.user_store.terms import NOW, USER_ID, literal, parameter

MOST_SKILLS = 1000
CREDENTIAL = "credential:"

# A skill that is installed for several agents is on when it is on for any.
INSTALLED_SKILLS = (
    select(
        skill.c.id,
        skill.c.name,
        skill.c.description,
        (func.count().filter(installed_skill.c.enabled) > literal(0)).label("enabled"),
    )
    .join_from(installed_skill, skill, skill.c.id == installed_skill.c.skillId)
    .where(installed_skill.c.userId == USER_ID)
    .group_by(skill.c.id, skill.c.name, skill.c.description)
    .order_by(skill.c.name, skill.c.id)
    .limit(literal(MOST_SKILLS))
)

SET_SKILL = (
    update(installed_skill)
    .where(installed_skill.c.userId == USER_ID, installed_skill.c.skillId == parameter("skill_id", Text))
    .values(enabled=parameter("switched_on", Boolean))
    .returning(literal(1))
)

# Not LIKE, which makes no difference between capital and small letters in SQLite.
CREDENTIALS = select(user_setting.c.key).where(
    user_setting.c.userId == USER_ID,
    func.substr(user_setting.c.key, literal(1), literal(len(CREDENTIAL))) == literal(CREDENTIAL),
    user_setting.c.value != literal(""),
)

_NEW_SETTING = insert(user_setting).values(
    id=parameter("setting_id", Text),
    userId=USER_ID,
    key=parameter("setting_key", Text),
    value=parameter("setting_value", Text),
    createdAt=NOW,
    updatedAt=NOW,
)

PUT_SETTING = _NEW_SETTING.on_conflict_do_update(
    index_elements=[user_setting.c.userId, user_setting.c.key],
    set_={"value": _NEW_SETTING.excluded.value, "updatedAt": _NEW_SETTING.excluded.updatedAt},
)

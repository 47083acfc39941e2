"""The platform's own tables, as far as the gateway uses them. It never makes or migrates them.

Timestamps of the CamelCase tables are naive UTC with milliseconds; ``agent_registrations`` keeps time zones.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

metadata = MetaData()


def _moment() -> DateTime:
    return DateTime().with_variant(TIMESTAMP(precision=3), "postgresql")


user = Table(
    "User",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("email", Text, unique=True),
    Column("plan", Text, server_default="free"),
    Column("subscriptionStatus", Text),
    Column("subscriptionStartDate", _moment()),
    Column("trialEndsAt", _moment()),
    Column("openclawUrl", Text),
    Column("openclawInstanceId", Text),
    Column("referralCode", Text),
    Column("referralCredits", Integer, server_default="0"),
)

session = Table(
    "Session",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sessionToken", Text, unique=True, nullable=False),
    Column("userId", Text, nullable=False),
    Column("expires", _moment(), nullable=False),
)

agent = Table(
    "Agent",
    metadata,
    Column("id", Text, primary_key=True),
    Column("userId", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("model", Text),
    Column("status", Text, nullable=False, index=True),
    Column("websocketUrl", Text),
    Column("config", JSON),
    Column("createdAt", _moment(), nullable=False),
    Column("updatedAt", _moment(), nullable=False),
    Column("tier", Text),
)

skill = Table(
    "Skill",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("category", Text),
)

installed_skill = Table(
    "InstalledSkill",
    metadata,
    Column("id", Text, primary_key=True),
    Column("userId", Text, nullable=False, index=True),
    Column("agentId", Text, nullable=False, index=True),
    Column("skillId", Text, ForeignKey("Skill.id"), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("createdAt", _moment(), nullable=False),
    UniqueConstraint("userId", "agentId", "skillId"),
)

scheduled_task = Table(
    "ScheduledTask",
    metadata,
    Column("id", Text, primary_key=True),
    Column("userId", Text, nullable=False, index=True),
    Column("agentId", Text),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("createdAt", _moment(), nullable=False),
)

referral = Table(
    "Referral",
    metadata,
    Column("id", Text, primary_key=True),
    Column("referrerId", Text, nullable=False, index=True),
    Column("referredId", Text, unique=True, nullable=False),
    Column("createdAt", _moment(), nullable=False),
)

user_setting = Table(
    "UserSetting",
    metadata,
    Column("id", Text, primary_key=True),
    Column("userId", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text),
    Column("createdAt", _moment(), nullable=False),
    Column("updatedAt", _moment(), nullable=False),
    UniqueConstraint("userId", "key"),
)

agent_registration = Table(
    "agent_registrations",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("gateway_token", Text),
    Column("registered_at", DateTime(timezone=True)),
    Column("status", Text),
)

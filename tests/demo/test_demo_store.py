"""The pretend platform's database holds every case that the dashboard tells apart."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, func, select

from demo import store
from demo.people import ADA, PEOPLE
from upstreams.user_store import tables

NOW = datetime(2026, 4, 4, 12, 30, 15, 123456, UTC)
URL = "http://127.0.0.1:9101"
NAIVE = NOW.replace(tzinfo=None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "demo.db"


@pytest.fixture
def connection(path):
    store.create(path, NOW, URL)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connected:
        yield connected
    engine.dispose()


def everything(connection):
    return {table.name: connection.execute(select(table)).all() for table in tables.metadata.sorted_tables}


def column(connection, wanted, *conditions):
    return connection.scalars(select(wanted).where(*conditions)).all()


def test_the_same_moment_gives_the_same_rows(connection, tmp_path):
    store.create(tmp_path / "again.db", NOW, URL)
    engine = create_engine(f"sqlite:///{tmp_path / 'again.db'}")

    with engine.connect() as again:
        assert everything(again) == everything(connection)
    engine.dispose()


def test_an_existing_file_is_replaced(path):
    path.write_text("something else")
    store.create(path, NOW, URL)
    store.create(path, NOW, URL)

    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connected:
        assert connected.scalar(select(func.count()).select_from(tables.user)) == len(PEOPLE)
    engine.dispose()


def test_every_agent_status_exists_and_more_errors_than_a_summary_shows(connection):
    statuses = column(connection, tables.agent.c.status)

    assert set(statuses) == {"pending", "provisioning", "active", "running", "stopped", "error"}
    assert statuses.count("error") > 5


def test_ada_alone_has_an_agent_in_every_status(connection):
    statuses = column(connection, tables.agent.c.status, tables.agent.c.userId == "user_ada")

    assert set(statuses) == {"pending", "provisioning", "active", "running", "stopped", "error"}


def test_every_plan_exists_and_none_at_all(connection):
    assert set(column(connection, tables.user.c.plan)) == {
        None, "free", "solo", "starter", "underground", "collective", "pro", "label", "scale", "network",
        "enterprise",
    }  # fmt: skip


def test_every_subscription_status_exists(connection):
    statuses = set(column(connection, tables.user.c.subscriptionStatus))

    assert statuses == {"active", "inactive", "past_due", "cancelled"}


def test_free_trials_are_over_or_end_soon_or_later(connection):
    ends = column(connection, tables.user.c.trialEndsAt, tables.user.c.plan == "free")
    soon = NAIVE + timedelta(days=3)

    assert any(end < NAIVE for end in ends)
    assert sum(NAIVE < end < soon for end in ends) == 2
    assert any(end > soon for end in ends)


def test_some_users_have_no_agents_and_some_a_gateway_of_their_own(connection):
    owners = set(column(connection, tables.agent.c.userId))

    assert {"user_erin", "user_heidi"}.isdisjoint(owners)
    assert set(column(connection, tables.user.c.openclawUrl)) == {None, URL}


@pytest.mark.parametrize(
    ("token", "user", "valid"),
    [
        (store.DEMO_TOKEN, "user_ada", True),
        (store.ADMIN_TOKEN, "user_admin", True),
        (store.EXPIRED_TOKEN, "user_ada", False),
        (store.ORPHAN_TOKEN, "user_gone", True),
    ],
)
def test_sessions_have_known_tokens(connection, token, user, valid):
    found = connection.execute(select(tables.session).where(tables.session.c.sessionToken == token)).one()

    assert (found.userId, found.expires > NAIVE) == (user, valid)


def test_the_orphan_session_belongs_to_nobody(connection):
    assert "user_gone" not in column(connection, tables.user.c.id)


def test_gateway_tokens_are_kept_with_the_agent_or_with_the_registration(connection):
    configs = column(connection, tables.agent.c.config)
    with_agents = {config["gatewayToken"] for config in configs if config and "gatewayToken" in config}
    registered = set(column(connection, tables.agent_registration.c.gateway_token))

    assert with_agents.isdisjoint(registered)
    assert with_agents | registered == {person.gateway_token for person in PEOPLE if person.gateway_token}


def test_adas_instance_is_one_of_her_agents_and_knows_her_gateway_token(connection):
    instance = column(connection, tables.user.c.openclawInstanceId, tables.user.c.id == "user_ada")
    config = column(connection, tables.agent.c.config, tables.agent.c.id == instance[0])

    assert config[0]["gatewayToken"] == ADA.gateway_token


@pytest.mark.parametrize("table", [tables.installed_skill, tables.scheduled_task], ids=lambda table: table.name)
def test_skills_and_tasks_are_on_and_off_and_nothing_is_from_the_future(connection, table):
    assert set(column(connection, table.c.enabled)) == {True, False}
    assert max(column(connection, table.c.createdAt)) <= NAIVE


def test_adas_history_reaches_over_the_year(connection):
    moments = [
        moment
        for table in (tables.agent, tables.installed_skill, tables.scheduled_task)
        for moment in column(connection, table.c.createdAt, table.c.userId == "user_ada")
    ]

    assert len({(moment.year, moment.month) for moment in moments}) >= 11
    assert min(moments) < NAIVE - timedelta(days=340)
    assert any(moment.date() == NOW.date() for moment in moments)


def test_moments_are_naive_and_in_whole_milliseconds(connection):
    rows = [row for table in everything(connection).values() for row in table]
    moments = [value for row in rows for value in row if isinstance(value, datetime)]
    registered = set(column(connection, tables.agent_registration.c.registered_at))

    assert all(moment.tzinfo is None for moment in moments)
    assert all(moment.microsecond % 1000 == 0 for moment in moments if moment not in registered)


def test_referrals_are_between_people_who_exist(connection):
    people = set(column(connection, tables.user.c.id))
    referrers = column(connection, tables.referral.c.referrerId)

    assert referrers.count("user_ada") == 3
    assert set(referrers) | set(column(connection, tables.referral.c.referredId)) <= people

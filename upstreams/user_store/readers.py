"""From a statement's rows to what the client returns. The columns are those of the statements, in their order."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from upstreams.user_store.drivers import Row
from upstreams.user_store.rows import (
    Account,
    AgentErrorRow,
    AgentRecord,
    AgentRow,
    Bootstrap,
    Counts,
    Dashboard,
    ExpiringTrial,
    InstalledSkill,
    Instance,
    Inventory,
    LiveAgent,
    MonthActivity,
    OwnedAgent,
    SessionOwner,
    Standing,
    Subscription,
    Summary,
    TopSkill,
)
from upstreams.user_store.setting_statements import CREDENTIAL


def session_owner(rows: Sequence[Row]) -> SessionOwner | None:
    if not rows:
        return None
    user_id, expires, email, url, agent_token, registered_token = rows[0]
    return SessionOwner(Account(user_id, email, url or None, _token(agent_token, registered_token)), _utc(expires))


def account(rows: Sequence[Row]) -> Account | None:
    if not rows:
        return None
    user_id, email, url, agent_token, registered_token = rows[0]
    return Account(user_id, email, url or None, _token(agent_token, registered_token))


def dashboard(rows: Sequence[Row]) -> Dashboard | None:
    if not rows:
        return None
    user_id, credits_, plan, instance, url, agent_token, registered_token, agent_id, status, name, tier = rows[0]
    return Dashboard(
        user_id=user_id,
        credits=int(credits_ or 0),
        plan=plan,
        openclaw_url=url or None,
        openclaw_instance_id=instance or None,
        gateway_token=_token(agent_token, registered_token),
        agent=None if agent_id is None else AgentRow(agent_id, status, name, tier),
    )


def bootstrap(rows: Sequence[Row]) -> Bootstrap | None:
    if not rows:
        return None
    credits_, referral_code, referrals, plan, instance, url, agent_token, registered_token = rows[0]
    return Bootstrap(
        credits=int(credits_ or 0),
        referral_code=referral_code,
        referral_count=referrals,
        plan=plan,
        openclaw_url=url or None,
        openclaw_instance_id=instance or None,
        gateway_token=_token(agent_token, registered_token),
    )


def inventory(rows: Sequence[Row]) -> Inventory | None:
    kinds = _by_kind(rows)
    if "user" not in kinds:
        return None
    agents, skills, tasks = kinds["agents"], kinds["skills"], kinds["tasks"]
    return Inventory(
        agents_total=sum(number for _, _, number, _ in agents),
        agents_live=sum(marked for *_, marked in agents),
        skills_enabled=sum(marked for *_, marked in skills),
        tasks_total=sum(number for _, _, number, _ in tasks),
        trend=_trend(agents, skills, tasks),
        top_skills=tuple(TopSkill(name, number) for _, name, number, _ in kinds["top"]),
    )


def _trend(*kinds: Iterable[Row]) -> tuple[MonthActivity, ...]:
    months = [{month: number for month, _, number, _ in rows if month is not None} for rows in kinds]
    return tuple(
        MonthActivity(month, *(numbers.get(month, 0) for numbers in months))
        for month in sorted(set().union(*months))
    )


def subscription(rows: Sequence[Row]) -> Subscription | None:
    if not rows:
        return None
    live = tuple(LiveAgent(agent_id, name) for _, _, agent_id, name in rows if agent_id is not None)
    plan, agents, *_ = rows[0]
    return Subscription(plan, agents, len(live), live)


def counts(rows: Sequence[Row]) -> Counts | None:
    return Counts(*rows[0]) if rows else None


def summary(rows: Sequence[Row]) -> Summary:
    kinds = _by_kind(rows)
    expiring = [ExpiringTrial(id_, email or "", _utc(ends)) for id_, email, _, ends, _ in kinds["expiring"]]
    errors = [AgentErrorRow(id_, name, owner, _utc(updated)) for id_, name, owner, updated, _ in kinds["error"]]
    return Summary(
        active_trials=sum(number for *_, number in kinds["trials"]),
        expiring=tuple(sorted(expiring, key=lambda trial: (trial.ends_at, trial.id))),
        totals={status: number for _, status, _, _, number in kinds["status"]},
        recent_errors=tuple(sorted(errors, key=lambda agent: agent.updated_at, reverse=True)),
    )


def agents(rows: Sequence[Row]) -> tuple[AgentRecord, ...]:
    return tuple(
        AgentRecord(id_, name, model, status, url, _utc(created), _utc(updated))
        for id_, name, model, status, url, created, updated in rows
    )


def agents_left(results: Sequence[Sequence[Row]]) -> tuple[AgentRecord, ...]:
    return agents(results[-1])


def owned_agent(rows: Sequence[Row]) -> OwnedAgent | None:
    return OwnedAgent(*rows[0]) if rows else None


def instance(rows: Sequence[Row]) -> Instance | None:
    return Instance(*rows[0]) if rows else None


def standing(rows: Sequence[Row]) -> Standing | None:
    if not rows:
        return None
    plan, subscription_status, trial_ends, agent_count = rows[0]
    return Standing(plan, subscription_status, None if trial_ends is None else _utc(trial_ends), agent_count)


def reservation(results: Sequence[Sequence[Row]]) -> int | None:
    *_, inserted, counted = results
    return None if inserted else int(counted[0][0])


def installed_skills(rows: Sequence[Row]) -> tuple[InstalledSkill, ...]:
    return tuple(InstalledSkill(id_, name, description, bool(enabled)) for id_, name, description, enabled in rows)


def credentials(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(key.removeprefix(CREDENTIAL) for (key,) in rows)


def _by_kind(rows: Sequence[Row]) -> defaultdict[str, list[tuple[Any, ...]]]:
    kinds: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for kind, *values in rows:
        kinds[kind].append(tuple(values))
    return kinds


def _token(agent_token: str | None, registered: str | None) -> str | None:
    """Return the agent's own token, else the registration's; only a string is a token."""
    if agent_token is not None and agent_token.startswith('"'):
        return json.loads(agent_token) or registered or None
    return registered or None


def _utc(moment: datetime | str) -> datetime:
    """Return a stored time, which is UTC whether it says so or not; SQLite keeps text."""
    value = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

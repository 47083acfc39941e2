"""The agents that the pretend agent management service runs, and what becomes of them."""

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from demo.people import PEOPLE, Person

VERSION = "2026.4.2"
STATUSES = {"running": "active", "pending": "provisioning"}  # the store's words that the service has others for
UNVERIFIED: dict[str, Any] = dict.fromkeys(
    ("verificationType", "attestationUid", "verifierAddress", "verifiedAt", "metadata")
)

# What has the form of an id may have been made elsewhere; it is run from when it is first asked for.
_ID = re.compile(r"[\w-]{8,64}", re.ASCII)


def timestamp(moment: datetime) -> str:
    """Return the moment in ISO 8601 with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class ManagedAgent:
    """One agent; ``status`` in the service's words."""

    id: str
    owner: str
    status: str
    started_at: datetime
    plan: str = "free"
    version: str = VERSION
    config: dict[str, Any] = field(default_factory=dict)
    verification: dict[str, Any] = field(default_factory=UNVERIFIED.copy)
    token: str | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def subdomain(self) -> str:
        return f"{self.id}.agents.localhost"

    @property
    def url(self) -> str:
        return f"https://{self.subdomain}"

    @property
    def verified(self) -> bool:
        return self.verification["verifiedAt"] is not None

    def described(self) -> dict[str, Any]:
        """Return the agent as the service tells of it; containers' times have nanoseconds."""
        return {
            "id": self.id,
            "status": self.status,
            "startedAt": timestamp(self.started_at).replace("Z", "000000Z"),
            "plan": self.plan,
            "subdomain": self.subdomain,
            "url": self.url,
            "openclawVersion": self.version,
            "verified": self.verified,
            **{name: self.verification[name] for name in ("verificationType", "attestationUid", "verifiedAt")},
        }

    def log(self, level: str, message: str, now: datetime, source: str = "system") -> None:
        """Add a line to the agent's log."""
        line = {"id": f"log_{len(self.lines) + 1:03}", "timestamp": timestamp(now), "level": level}
        self.lines.append(line | {"message": message, "source": source, "agentId": self.id})

    def start(self, now: datetime) -> dict[str, Any]:
        self.status, self.started_at = "active", now
        self.log("info", "Agent started successfully", now)
        return {"status": self.status}

    def stop(self, now: datetime) -> dict[str, Any]:
        self.status = "stopped"
        self.log("info", "Agent stopped", now)
        return {"status": self.status}

    def restart(self, now: datetime) -> dict[str, Any]:
        healed = {"healedLegacyModel": False, "healMessage": "skip:no-legacy", "openclawVersion": self.version}
        return self.start(now) | healed

    def update(self, now: datetime) -> dict[str, Any]:
        image = "ghcr.io/openclaw/openclaw"
        images = {"image": f"{image}:latest", "previousImage": f"{image}:{self.version}", "backupPath": "/srv/app"}
        self.version = "latest"
        self.log("info", "Image updated", now)
        return self.start(now) | images | {"openclawVersion": self.version}

    def repair(self, now: datetime) -> dict[str, Any]:
        self.start(now)
        self.log("warn", "Agent repaired", now)
        return {"message": "Agent repaired successfully"}

    def reset_memory(self, now: datetime) -> dict[str, Any]:
        self.log("warn", "Memory reset", now)
        return {"message": "Memory reset successfully"}

    def own_token(self) -> str:
        """Return the agent's gateway token, made when there is none yet."""
        if self.token is None:
            self.token = hashlib.sha256(f"token of {self.id}".encode()).hexdigest()
        return self.token

    def stats(self, now: datetime) -> dict[str, Any]:
        """Return what the running container uses, the same within a minute."""
        chance = random.Random(f"{self.id} {now:%Y-%m-%d %H:%M}")
        used = chance.uniform(180, 900)
        uptime = int((now - self.started_at) / timedelta(milliseconds=1))
        hours, minutes = divmod(uptime // 60_000, 60)
        days = f"{hours // 24}d {hours % 24}h"
        return {
            "agentId": self.id,
            "cpu": f"{chance.uniform(0.1, 12):.2f}%",
            "memory": f"{used:.1f}MiB / 2GiB",
            "memoryPercent": f"{used / 20.48:.2f}%",
            "network": f"{chance.uniform(1, 9):.1f}MB / {chance.randrange(100, 900)}kB",
            "blockIO": f"{chance.randrange(1, 90)}MB / {chance.randrange(1, 9)}MB",
            "pids": str(chance.randrange(11, 60)),
            "status": "running",
            "uptime": uptime,
            "uptimeFormatted": days if hours >= 24 else f"{hours}h {minutes}m",
            "timestamp": timestamp(now),
        }


ORDERS: dict[str, Callable[[ManagedAgent, datetime], dict[str, Any]]] = {
    "start": ManagedAgent.start,
    "stop": ManagedAgent.stop,
    "restart": ManagedAgent.restart,
    "update": ManagedAgent.update,
    "repair": ManagedAgent.repair,
    "reset-memory": ManagedAgent.reset_memory,
}


def seeded(now: datetime) -> dict[str, ManagedAgent]:
    """Return the agents of everybody, and the instances that are no agent of the store, by id."""
    made = {}
    for person in PEOPLE:
        for agent in person.agents:
            status = STATUSES.get(agent.status, agent.status)
            started = now - timedelta(hours=min(agent.hours_since_change, agent.days_old * 24))
            made[agent.id] = _managed(person, agent.id, status, started, agent.model)
        if person.instance_id and person.instance_id not in made:
            started = now - timedelta(hours=50)
            made[person.instance_id] = _managed(person, person.instance_id, "active", started, "claude-sonnet-4")
    return made


def _managed(person: Person, agent_id: str, status: str, started: datetime, model: str) -> ManagedAgent:
    agent = ManagedAgent(agent_id, person.id, status, started, person.plan or "free")
    agent.config = {"model": model, "temperature": 0.7, "channels": {"webchat": {"enabled": True}}}
    agent.config |= {"gatewayToken": person.gateway_token} if person.gateway_token else {}
    agent.log("info", "Container created", started)
    if status == "error":
        agent.log("error", "Container exited with code 1", started, "container")
    elif status == "active":
        agent.log("info", "Agent started successfully", started)
    return agent


class Agents:
    """All the agents, by id."""

    def __init__(self, now: datetime) -> None:
        self._held = seeded(now)

    def find(self, agent_id: str, user: str, now: datetime) -> ManagedAgent | None:
        """Return the agent; one that is new here is the user's from now on. None when the id is no agent's."""
        if agent_id not in self._held and _ID.fullmatch(agent_id):
            self.add(ManagedAgent(agent_id, user, "active", now), now)
        return self._held.get(agent_id)

    def add(self, agent: ManagedAgent, now: datetime) -> None:
        agent.log("info", "Container created", now)
        self._held[agent.id] = agent

"""Agents API (document 004): the answers of ``/api/instance/{userId}/*``."""

from typing import Literal

from contracts._base import Document, Timestamp


class Instance(Document):
    """``GET /api/instance/{userId}``; what the agent management service does not know of it is null."""

    user_id: str
    status: str
    started_at: Timestamp | None
    subdomain: str | None
    url: str | None
    plan: str
    openclaw_version: str


class InstanceStats(Document):
    """``GET /api/instance/{userId}/stats``."""

    user_id: str
    cpu: str
    memory: str
    status: str
    plan: str
    openclaw_version: str


class InstanceToken(Document):
    """``GET /api/instance/{userId}/token``."""

    token: str


class LifecycleStatus(Document):
    """``POST /api/instance/{userId}/`` ``start``, ``stop``, ``restart`` and ``update``."""

    success: Literal[True] = True
    status: str


class LifecycleMessage(Document):
    """``POST /api/instance/{userId}/`` ``repair`` and ``reset-memory``."""

    success: Literal[True] = True
    message: str

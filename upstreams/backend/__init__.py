"""The agent management service (upstreams.md, "backend")."""

from upstreams.backend.client import Backend, LifecycleAction
from upstreams.backend.identity import Actor
from upstreams.backend.models import (
    BackendAgent,
    BackendHealth,
    InstanceStats,
    LifecycleResult,
    LogEntry,
    LogPage,
    Provisioned,
    Verification,
    Verified,
    VerifyRequest,
)
from upstreams.backend.objects import PublicObject

__all__ = [
    "Actor",
    "Backend",
    "BackendAgent",
    "BackendHealth",
    "InstanceStats",
    "LifecycleAction",
    "LifecycleResult",
    "LogEntry",
    "LogPage",
    "Provisioned",
    "PublicObject",
    "Verification",
    "Verified",
    "VerifyRequest",
]

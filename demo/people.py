"""The people of the pretend platform. The store, the gateway and the metrics service agree on them."""

from dataclasses import dataclass
from typing import Literal

GatewayVersion = Literal["2026.3.13", "2026.4.2", "2026.9.6", "managed"]

SHARED_GATEWAY_TOKEN = "demo-shared-gateway-token"
METRICS_API_KEY = "demo-metrics-api-key"
BACKEND_API_KEY = "demo-backend-api-key"
INTERNAL_KEY = "demo-gateway-internal-key"
ENCRYPTION_KEY = "ZGVtby1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcy4="  # base64 of 32 bytes

EVERYWHERE = (
    "openai", "main", "openai-user", "telegram", "subagent", "telegram-group",
    "cron", "discord", "whatsapp", "slack", "webchat",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as the store has it: created so many days ago, changed so many hours ago."""

    id: str
    name: str
    status: str
    days_old: float
    model: str = "claude-sonnet-4"
    hours_since_change: float = 30.0


@dataclass(frozen=True, slots=True)
class Person:
    """A user: ``trial_days`` from now until the trial ends; ``conversations`` on a gateway of that version."""

    id: str
    name: str
    email: str
    plan: str | None
    subscription: str
    trial_days: float | None = None
    agents: tuple[Agent, ...] = ()
    instance_id: str | None = None
    own_gateway: bool = False
    token_kept_in: Literal["agent", "registration"] | None = None
    gateway: GatewayVersion = "managed"
    conversations: tuple[str, ...] = ()
    referral_credits: int = 0

    @property
    def session_token(self) -> str:
        """Return the opaque token of the user's session."""
        return f"demo-session-{self.id.removeprefix('user_')}"

    @property
    def gateway_token(self) -> str | None:
        """Return the token that the user's gateway knows, None when the user has none."""
        return f"demo-gateway-{self.id.removeprefix('user_')}" if self.token_kept_in else None


ADA = Person(
    "user_ada", "Ada", "ada@example.com", "label", "active",
    agents=(
        Agent("agent_ada_atlas", "atlas", "active", 352.0),
        Agent("agent_ada_beacon", "beacon", "running", 301.5, "gpt-5.1"),
        Agent("agent_ada_cinder", "cinder", "stopped", 244.2, "gpt-5.1-mini", 700.0),
        Agent("agent_ada_dune", "dune", "error", 170.9, "gemini-3-pro", 4.5),
        Agent("agent_ada_ember", "ember", "running", 95.3, "claude-opus-4.5"),
        Agent("agent_ada_fjord", "fjord", "active", 33.8, "gpt-5.1-mini"),
        Agent("agent_ada_grove", "grove", "provisioning", 2.1, hours_since_change=2.0),
        Agent("agent_ada_harbor", "harbor", "pending", 0.01, hours_since_change=0.2),
    ),
    instance_id="agent_ada_beacon", own_gateway=True, token_kept_in="agent",
    conversations=EVERYWHERE, referral_credits=10,
)  # fmt: skip

ADMIN = Person(
    "user_admin", "Admin", "admin@example.com", "enterprise", "active",
    agents=(Agent("agent_admin_watch", "watch", "running", 200.0),),
    token_kept_in="registration", conversations=("main",),
)  # fmt: skip

PEOPLE = (
    ADA,
    ADMIN,
    Person(
        "user_bob", "Bob", "bob@example.com", "solo", "active",
        agents=(Agent("agent_bob_solo", "my-agent", "running", 120.0),),
        token_kept_in="registration", gateway="2026.4.2", conversations=("main", "telegram", "webchat"),
        referral_credits=5,
    ),
    Person(
        "user_carol", "Carol", "carol@example.com", "collective", "active",
        agents=(
            Agent("agent_carol_choir", "choir", "active", 310.0, "gpt-5.1"),
            Agent("agent_carol_drum", "drum", "running", 64.0),
            Agent("agent_carol_echo", "echo", "stopped", 12.0, hours_since_change=90.0),
        ),
        instance_id="inst_carol", own_gateway=True, token_kept_in="agent",
        gateway="2026.9.6", conversations=("openai", "main", "openai-user", "discord", "whatsapp"),
    ),
    Person(
        "user_dan", "Dan", "dan@example.com", "free", "inactive", trial_days=0.9,
        agents=(Agent("agent_dan_first", "first-steps", "active", 6.0, "gpt-5.1-mini"),),
        token_kept_in="registration", conversations=("webchat",),
    ),
    Person("user_erin", "Erin", "erin@example.com", "free", "inactive", trial_days=2.5),
    Person(
        "user_frank", "Frank", "frank@example.com", "free", "inactive", trial_days=-5.0,
        agents=(Agent("agent_frank_idle", "idle", "stopped", 19.0, hours_since_change=120.0),),
    ),
    Person(
        "user_grace", "Grace", "grace@example.com", "free", "inactive", trial_days=6.2,
        agents=(Agent("agent_grace_new", "new-here", "pending", 0.02, hours_since_change=0.4),),
    ),
    Person("user_heidi", "Heidi", "heidi@example.com", None, "inactive"),
    Person(
        "user_ivan", "Ivan", "ivan@example.com", "pro", "past_due",
        agents=(
            Agent("agent_ivan_jet", "jet", "error", 80.0, hours_since_change=1.2),
            Agent("agent_ivan_kite", "kite", "error", 41.0, "gemini-3-pro", 26.0),
        ),
        token_kept_in="registration", gateway="2026.3.13", conversations=("main",),
    ),
    Person(
        "user_judy", "Judy", "judy@example.com", "network", "cancelled",
        agents=tuple(
            Agent(f"agent_judy_{number:02}", f"node-{number:02}", "stopped", 15.0 * number, "gpt-5.1-mini")
            for number in range(1, 13)
        ),
        token_kept_in="agent", conversations=("main", "slack", "cron"),
    ),
    Person(
        "user_mallory", "Mallory", "mallory@example.com", "starter", "active",
        agents=(Agent("agent_mallory_moth", "moth", "error", 9.0, hours_since_change=9.0),),
        gateway="2026.3.13",
    ),
    Person("user_niaj", "Niaj", "niaj@example.com", "underground", "active", trial_days=-40.0),
    Person(
        "user_olivia", "Olivia", "olivia@example.com", "scale", "active",
        agents=(
            Agent("agent_olivia_pine", "pine", "running", 220.0, "claude-opus-4.5"),
            Agent("agent_olivia_quay", "quay", "error", 140.0, "gpt-5.1", 0.5),
            Agent("agent_olivia_reef", "reef", "error", 139.0, "gpt-5.1", 60.0),
        ),
        own_gateway=True, token_kept_in="agent", conversations=("main", "telegram", "telegram-group", "slack"),
    ),
)  # fmt: skip

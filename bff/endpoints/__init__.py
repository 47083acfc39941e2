"""Every operation the gateway serves, listed here: what it reads (plans), does (actions) and no longer does."""

from typing import Any, Final

from bff.endpoints.admin_summary import SUMMARY
from bff.endpoints.agent_actions import CHAT, CREATE_SESSION, SET_CREDENTIAL, UPDATE_SKILL
from bff.endpoints.agent_config import GET_CONFIG, PUT_CONFIG
from bff.endpoints.agent_detail import DETAIL
from bff.endpoints.agent_lists import LIST, PROVISIONED
from bff.endpoints.agent_logs import GET_LOGS
from bff.endpoints.agent_messages import GET_MESSAGES
from bff.endpoints.agent_provision import PROVISION
from bff.endpoints.agent_sessions import AGENT_MEMORY, SESSION_DETAIL, SESSION_LIST
from bff.endpoints.agent_stats import GET_STATS
from bff.endpoints.agent_status import AGENT_HEALTH, CREDENTIAL_LIST, ENDPOINT_LIST, SKILL_LIST, UNKNOWN
from bff.endpoints.agent_verification import GET_VERIFICATION, UNVERIFY, VERIFY
from bff.endpoints.channel_provision import PROVISION_CHANNELS
from bff.endpoints.chat import MESSAGES, SEND
from bff.endpoints.codex import MODELS, OVERVIEW
from bff.endpoints.dashboard_analytics import ANALYTICS
from bff.endpoints.dashboard_bootstrap import BOOTSTRAP
from bff.endpoints.dashboard_cost import COST
from bff.endpoints.dashboard_data import DATA
from bff.endpoints.dashboard_health import HEALTH
from bff.endpoints.dashboard_stats import STATS
from bff.endpoints.deprecated import GONE
from bff.endpoints.instance_lifecycle import LIFECYCLE
from bff.endpoints.instances import DETAILS, GATEWAY_TOKEN, STATISTICS
from bff.endpoints.member_stats import GET_STATS as MEMBER_STATS
from bff.plans import AnyAction, Plan

__all__ = ["ACTIONS", "GONE", "PLANS"]

DASHBOARD: Final = (DATA, ANALYTICS, BOOTSTRAP, COST, STATS, HEALTH, SUMMARY)
AGENTS: Final = (LIST, PROVISIONED, DETAIL, GET_CONFIG, GET_LOGS, GET_MESSAGES, GET_STATS, GET_VERIFICATION)
INSTANCES: Final = (DETAILS, STATISTICS, GATEWAY_TOKEN)
INTERACTION: Final = (
    ENDPOINT_LIST,
    AGENT_HEALTH,
    SESSION_LIST,
    SESSION_DETAIL,
    AGENT_MEMORY,
    SKILL_LIST,
    CREDENTIAL_LIST,
    UNKNOWN,
    MESSAGES,
)

PLANS: Final[tuple[Plan[Any], ...]] = (
    DASHBOARD + AGENTS + INSTANCES + INTERACTION + (MEMBER_STATS, OVERVIEW, MODELS)
)

ACTIONS: Final[tuple[AnyAction, ...]] = (
    PROVISION,
    PROVISION_CHANNELS,
    PUT_CONFIG,
    VERIFY,
    UNVERIFY,
    *LIFECYCLE,
    CHAT,
    CREATE_SESSION,
    UPDATE_SKILL,
    SET_CREDENTIAL,
    SEND,
)

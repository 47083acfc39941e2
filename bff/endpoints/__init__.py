"""Every operation the gateway serves: one module each, listed here."""

from typing import Any, Final

from bff.endpoints.admin_summary import SUMMARY
from bff.endpoints.dashboard_analytics import ANALYTICS
from bff.endpoints.dashboard_bootstrap import BOOTSTRAP
from bff.endpoints.dashboard_cost import COST
from bff.endpoints.dashboard_data import DATA
from bff.endpoints.dashboard_health import HEALTH
from bff.endpoints.dashboard_stats import STATS
from bff.plans import Plan

PLANS: Final[tuple[Plan[Any], ...]] = (DATA, ANALYTICS, BOOTSTRAP, COST, STATS, HEALTH, SUMMARY)

"""Dashboard bootstrap (document 000, "Dashboard bootstrap"): what a dashboard needs before anything else."""

from bff.figures.subscription import plan_name
from bff.plans import Access, Ask, Got, Keep, NoQuery, Plan, Scope, required
from contracts import dashboard

USER = required("user_store", lambda up, ask: up.user_store.bootstrap(ask.caller.user_id))

_NOBODY = dashboard.Bootstrap(
    credits=0,
    referral_code=None,
    referral_count=0,
    plan=None,
    openclaw_url=None,
    openclaw_instance_id=None,
    gateway_token=None,
)


def bootstrap(_ask: Ask[NoQuery], got: Got) -> dashboard.Bootstrap:
    user = got[USER]
    if user is None:
        return _NOBODY
    return dashboard.Bootstrap(
        credits=user.credits,
        referral_code=user.referral_code,
        referral_count=user.referral_count,
        plan=plan_name(user.plan),
        openclaw_url=user.openclaw_url,
        openclaw_instance_id=user.openclaw_instance_id,
        gateway_token=user.gateway_token,
    )


BOOTSTRAP = Plan(
    "dashboard.bootstrap",
    path="/api/dashboard/bootstrap",
    document="000",
    query=NoQuery,
    answer=dashboard.Bootstrap,
    access=Access.SESSION,
    shared_by=Scope.USER,
    keep=Keep(fresh=30, stale=60, on_error=600),
    sources=(USER,),
    merge=bootstrap,
    failed="Failed to fetch bootstrap data",
    secret=True,
)

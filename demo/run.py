"""``bff demo``: the gateway on the pretend platform, and lines to try."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bff import configuration, serve

STORE = "demo.db"

_GUIDE = """\
The gateway is at {public}, its operations port at {ops}.
The pretend platform is behind it; {control} shows every upstream and its faults.

  a user's session:   agentbot-session={session}
  an admin's session: agentbot-session={admin_session}

Try:
  curl -s -b agentbot-session={session} {public}/api/dashboard/data
  curl -s -b agentbot-session={admin_session} {public}/api/admin/summary
Break the gateway upstream, and see the answer come in time with `degraded`:
  curl -s -d '{{"hang": true}}' {control}/gateway/__faults; curl -si -H 'Cache-Control: no-cache' \
-b agentbot-session={session} {public}/api/dashboard/data
Mend it again:
  curl -s -X DELETE {control}/gateway/__faults

A codex-lb session, and one whose second factor is still to come:
  curl -s -b dashboard_session={codex_session} {public}/api/dashboard/overview
  curl -s -b dashboard_session={codex_totp_session} {public}/api/models
Members of an organization have Clerk tokens, good for a day:
  export ADMIN={admin_token}
  export MEMBER={member_token}
  export ADMIN_V1={admin_token_v1}
  export MEMBER_V1={member_token_v1}
What all of them did, which an admin may ask, and what one did, by claims of either version:
  curl -s -H "Authorization: Bearer $ADMIN" '{stats}&allInOrg=true'
  curl -s -H "Authorization: Bearer $ADMIN_V1" '{stats}&allInOrg=true&metadataKey=department&metadataValue=sales'
  curl -s -H "Authorization: Bearer $MEMBER" '{stats}'
  curl -s -H "Authorization: Bearer $MEMBER_V1" '{stats}'
Ctrl-C ends everything.
"""


def run(port: int, ops_port: int) -> None:
    """Run until SIGINT or SIGTERM. A port that is taken gives way to a free one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # by an exception, so that the platform ends too
    with _platform() as told:
        settings = configuration.validate(
            told["settings"]
            | {"server": {"port": _free(port)}, "ops": {"port": _free(ops_port)}, "log": {"level": "warning"}}
        )
        serve.serve(settings, announce=partial(_guide, told))


@contextlib.contextmanager
def _platform() -> Iterator[dict[str, Any]]:
    """Run the platform in a process of its own, so that what its faults cost is not the gateway's."""
    command = [sys.executable, "-m", "demo", "--store", STORE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _guide(told: dict[str, Any], public: str, ops: str) -> None:
    today = datetime.now(UTC).date()
    stats = f"{public}/api/dashboard/getStats?from={today - timedelta(days=30)}&to={today + timedelta(days=1)}"
    sys.stdout.write(_GUIDE.format_map(told | {"public": public, "ops": ops, "stats": stats}))
    sys.stdout.flush()


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port

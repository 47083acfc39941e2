"""How many connections the file descriptors are enough for."""

from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Final

import structlog

_log: Final = structlog.get_logger("bff.serve")

_RESERVED: Final = 512  # for upstreams, the databases, clients that are turned away, and the process itself


def room_for(connections: int) -> int:
    """Return how many of so many connections there may be, having raised the soft limit if needed."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft == RLIM_INFINITY:
        return connections
    wanted = connections + _RESERVED
    if soft < wanted:
        soft = wanted if hard == RLIM_INFINITY else hard
        setrlimit(RLIMIT_NOFILE, (soft, hard))
    room = min(connections, soft - min(_RESERVED, soft // 2))
    if room < connections:
        _log.warning("fewer connections than server.max_connections", room=room, file_descriptors=soft)
    return room

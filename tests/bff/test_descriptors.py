"""How many connections there may be with so many file descriptors, and when it is said that they are fewer."""

from resource import RLIM_INFINITY

import pytest
from structlog.testing import capture_logs

from bff import descriptors

WANTED = 20_000


@pytest.mark.parametrize(
    ("soft", "hard", "room", "raised_to"),
    [
        (1024, 1_048_576, WANTED, 1_048_576),
        (1024, RLIM_INFINITY, WANTED, WANTED + 512),
        (RLIM_INFINITY, RLIM_INFINITY, WANTED, None),
        (65_536, 65_536, WANTED, None),
        (WANTED + 512, 1_048_576, WANTED, None),
        (WANTED, WANTED, WANTED - 512, WANTED),
        (1024, 4096, 4096 - 512, 4096),
        (256, 256, 128, 256),
    ],
)
def test_connections_get_what_the_process_does_not_need(monkeypatch, soft, hard, room, raised_to):
    limits = []
    monkeypatch.setattr(descriptors, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(descriptors, "setrlimit", lambda _, limit: limits.append(limit))
    with capture_logs() as lines:
        assert descriptors.room_for(WANTED) == room
    assert limits == ([] if raised_to is None else [(raised_to, hard)])
    assert [(line["log_level"], line["room"]) for line in lines] == ([] if room == WANTED else [("warning", room)])

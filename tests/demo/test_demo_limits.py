"""So many events a minute for each client."""

from demo.limits import PerMinute


def test_a_client_waits_for_the_end_of_its_minute():
    now = [1000.0]
    limit = PerMinute(2, lambda: now[0])
    assert limit.wait("a") == 0
    limit.count("a")
    now[0] += 20
    assert limit.wait("a") == 0
    limit.count("a")
    assert limit.wait("a") == 40
    assert limit.wait("b") == 0
    now[0] += 39.9
    assert limit.wait("a") == 1
    now[0] += 0.1
    assert limit.wait("a") == 0


def test_a_new_minute_counts_from_nothing():
    now = [0.0]
    limit = PerMinute(1, lambda: now[0])
    for _ in range(3):
        assert limit.wait("a") == 0
        limit.count("a")
        assert limit.wait("a") == 60
        now[0] += 60

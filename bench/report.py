"""The tables, in markdown."""

from collections.abc import Iterable, Mapping, Sequence

from bench.scenarios import CONCURRENCY, CROWD, OVERLOAD, Burst, Load, Overload
from bench.servers import BFF, FASTAPI, FASTIFY

Throughput = Mapping[str, Mapping[str, Load]]


def report(
    throughput: Throughput,
    crowd: Mapping[str, Burst],
    overload: Mapping[str, Overload],
    sizes: Mapping[str, Load],
) -> str:
    return "\n\n".join(
        [
            f"### `analytics`, {CONCURRENCY} connections",
            _throughput(throughput),
            "### Ratios: this gateway over the peer",
            _ratios(throughput),
            f"### {CROWD:,} equal requests at once, none kept",
            _crowd(crowd),
            f"### {OVERLOAD} times as many requests as there is room for, `analytics`, none kept",
            _overload(overload),
            "### This gateway: a small user and a large one, uncached, 20 requests/s",
            _sizes(sizes),
        ]
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _throughput(found: Throughput) -> str:
    heads = ["scenario", "server", "requests/s", "p50 ms", "p99 ms", "server CPU us/request"]
    heads += ["server busy", "other CPUs busy", "gateway calls/request", "RSS MiB"]
    return _table(
        heads,
        [
            [
                scenario,
                server,
                f"{load.per_second:,.0f}",
                f"{load.p50_us / 1000:.2f}",
                f"{load.p99_us / 1000:.2f}",
                f"{load.cpu_us:,.0f}",
                f"{load.server_busy:.0%}",
                f"{load.others_busy:.0%}",
                f"{load.calls:.2f}",
                f"{load.mebibytes:.0f}",
            ]
            for scenario, loads in found.items()
            for server, load in loads.items()
        ],
    )


def _ratios(found: Throughput) -> str:
    return _table(
        ["scenario", "peer", "requests/s", "requests per CPU second"],
        [
            [
                scenario,
                peer,
                f"{loads[BFF].per_second / loads[peer].per_second:.2f}",
                f"{loads[peer].cpu_us / loads[BFF].cpu_us:.2f}",
            ]
            for scenario, loads in found.items()
            for peer in (FASTIFY, FASTAPI)
        ],
    )


def _crowd(found: Mapping[str, Burst]) -> str:
    return _table(
        ["server", "health calls", "sessions calls", "store statements", "all answered, ms", "answered in full"],
        [
            [
                server,
                f"{burst.health:,.0f}",
                f"{burst.sessions:,.0f}",
                f"{burst.statements:,.0f}",
                f"{burst.milliseconds:,.0f}",
                f"{burst.complete:,.0f}",
            ]
            for server, burst in found.items()
        ],
    )


def _overload(found: Mapping[str, Overload]) -> str:
    heads = ["server", "most/s", "asked/s", "good/s", "of the most", "refused/s", "late or lost/s"]
    heads += ["good p50 ms", "refusal p50 ms", "refusal p90 ms"]
    return _table(
        heads,
        [
            [
                server,
                f"{load.peak:,.0f}",
                f"{load.asked:,.0f}",
                f"{load.good:,.0f}",
                f"{load.good / load.peak:.0%}",
                f"{load.refused:,.0f}",
                f"{load.lost:,.0f}",
                f"{load.good_ms:.0f}",
                f"{load.refused_p50_ms:.1f}",
                f"{load.refused_p90_ms:.1f}",
            ]
            for server, load in found.items()
        ],
    )


def _sizes(found: Mapping[str, Load]) -> str:
    return _table(
        ["operation and user", "p50 ms", "p99 ms", "gateway CPU us/request"],
        [
            [name, f"{load.p50_us / 1000:.1f}", f"{load.p99_us / 1000:.1f}", f"{load.cpu_us:,.0f}"]
            for name, load in found.items()
        ],
    )

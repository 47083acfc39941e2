"""``python -m bench [--quick]``: measure everything side by side and print the tables."""

import argparse
import sys

from bench import environments, scenarios
from bench.machine import description, leave_server_cpu
from bench.report import report
from bench.scenarios import Pace
from bench.world import surroundings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round: a rough idea in half a minute")
    pace = Pace(1.0, 1, 0.5) if parser.parse_args().quick else Pace(3.0, 3, 1.0)
    machine = description()
    environments.prepare()
    leave_server_cpu()
    with surroundings() as around:
        scenarios.compare_answers(around)
        throughput = scenarios.throughput(around, pace)
        crowd = scenarios.crowd(around, pace)
        overload = scenarios.overload(around, pace)
        sizes = scenarios.sizes(around, pace)
    seconds = f"medians of {pace.rounds} rounds of {pace.seconds:g} s"
    sys.stdout.write(f"{machine}\n- {seconds}\n\n{report(throughput, crowd, overload, sizes)}\n")


if __name__ == "__main__":
    main()

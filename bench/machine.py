"""What the benchmark needs of the machine: one CPU for the server, the others for the rest, and its clocks."""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ALL_CPUS = sorted(os.sched_getaffinity(0))
PINNED = len(ALL_CPUS) >= 2
SERVER_CPUS = ALL_CPUS[:1] if PINNED else ALL_CPUS
OTHER_CPUS = ALL_CPUS[1:] if PINNED else ALL_CPUS


@contextmanager
def on_server_cpu() -> Iterator[None]:
    """Let the processes started within run on the server's CPU, and this one on the others afterwards."""
    os.sched_setaffinity(0, SERVER_CPUS)
    try:
        yield
    finally:
        leave_server_cpu()


def leave_server_cpu() -> None:
    os.sched_setaffinity(0, OTHER_CPUS)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that all threads of a process have used, in seconds (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_mebibytes(pid: int) -> float:
    """Return how much memory a process holds (VmRSS), in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def own_cpus_busy_seconds() -> float:
    """Return how long the CPUs of this process have been busy since the machine's start, on average."""
    busy = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, *interrupts = map(int, ticks[:8])
            total = user + nice + system + sum(interrupts)
            busy[int(name.removeprefix("cpu"))] = total / os.sysconf("SC_CLK_TCK")
    return statistics.mean(busy[cpu] for cpu in os.sched_getaffinity(0))


def description() -> str:
    """Return the machine, its load and the versions of what runs, as lines of markdown."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in facts if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    pinning = (
        f"server on CPU {SERVER_CPUS[0]}, everything else on CPU {', '.join(map(str, OTHER_CPUS))}"
        if PINNED
        else "one CPU for everything: requests per second say little, CPU time still does"
    )
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"- {model}, {len(ALL_CPUS)} CPUs, {memory:.0f} GiB; Linux {platform.release()}\n"
        f"- Python {platform.python_version()}, Node {node}; {pinning}\n"
        f"- load average at the start: {load}"
    )

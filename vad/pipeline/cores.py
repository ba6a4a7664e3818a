"""What of the machine this process may use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def usable_cores() -> float:
    """Cores that this process may use: those of its affinity, less where a container's quota (cgroup v2) is lower."""
    cores = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):  # no cgroup v2 here, or no limit ("max")
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, int(quota) / int(period))
    return cores

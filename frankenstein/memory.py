"""How much memory could still be taken."""

import math
import os
from pathlib import Path

import torch


def free_memory(device: torch.device) -> int:
    """Bytes that a GPU, or else this machine, could still give; 0 if there is no way to know.

    Of this machine: what Linux calls available, within the limits of the containers that the
    process is in; elsewhere half of all there is.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        # Windows has no sysconf.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if _UNIX else 0
    available = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(min(1024 * int(available.split()[1]), _left_in_containers()))


_UNIX = hasattr(os, "sysconf")


def _left_in_containers() -> float:
    """Bytes below the tightest limit of the control groups (cgroup v2) that hold this process."""
    left = math.inf
    try:
        path = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("0::/")[2].strip()
    except OSError:
        return left
    group = Path("/sys/fs/cgroup", path)
    for folder in (group, *group.parents):
        try:
            limit = (folder / "memory.max").read_text(encoding="ascii").strip()
            used = (folder / "memory.current").read_text(encoding="ascii").strip()
        except OSError:
            continue  # the root has no limit, and a container does not see the groups around it
        if limit != "max":
            left = min(left, int(limit) - int(used))
    return max(left, 0)

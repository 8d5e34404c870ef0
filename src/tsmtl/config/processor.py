"""The processor as this process may use it; known before PyTorch is imported."""

import math
import os
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
CPUINFO = Path("/proc/cpuinfo")
BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")  # bind OpenMP's threads to cores


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let a waiting OpenMP thread soon give its core back, unless the user has said how threads wait.

    Where another process wants the core, the default is several times slower; where none does, now the one and now the
    other is faster (docs/performance.md, with a busy neighbour). It is read when PyTorch is imported.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "1000")


def usable_cores() -> list[int]:
    """Give the numbers of the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))


def core_quota(groups: Path = GROUPS, member: Path = Path("/proc/self/cgroup")) -> int | None:
    """Give how many cores' time the control groups of a container leave this process, or None where they do not say.

    Args:
        groups: Where the groups lie.
        member: Says which is this process's.
    """
    found = []
    with suppress(OSError):  # no Linux
        for line in member.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                own, names = groups / path.lstrip("/"), ["cpu.max"]
            elif "cpu" in controllers.split(","):
                own, names = groups / "cpu" / path.lstrip("/"), ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
            else:
                continue
            for folder in (own, *own.parents):
                if not folder.is_relative_to(groups):
                    break
                with suppress(OSError, ValueError):  # no such file here; "max" is no number, and no limit
                    quota, period = (int(word) for name in names for word in (folder / name).read_text().split())
                    found.append(max(1, math.ceil(quota / period)) if quota > 0 else sys.maxsize)
    least = min(found, default=sys.maxsize)
    return None if least == sys.maxsize else least


def core_count(environment: Mapping[str, str] = os.environ) -> int:
    """Give how many cores' time this process has: of those that it may run on, what a container leaves it.

    Where OpenMP's threads are bound to cores, PyTorch has left the one that asks a single core, and the others theirs.
    """
    bound = any(name in environment for name in BINDING)
    return min(os.cpu_count() or 1 if bound else len(usable_cores()), core_quota() or sys.maxsize)


def processor_flags() -> set[str] | None:
    """Give what a processor of x86 says that it can do; None where it is not one of these, or not under Linux."""
    if not CPUINFO.is_file():
        return None
    lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), None)

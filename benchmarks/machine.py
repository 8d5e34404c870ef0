"""What a machine is, and how busy: one line that stands over every table."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from benchmarks.workers.rounds import versions

SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_fp16")  # those that a training notices


def facts(*packages: str) -> dict[str, Any]:
    """Give processor, cores, instruction sets, memory, and the versions of torch, numpy and other packages."""
    told, memory = _first_values(Path("/proc/cpuinfo")), _first_values(Path("/proc/meminfo")).get("MemTotal", "")
    flags = set(told.get("flags", told.get("Features", "")).split())
    return {
        "processor": told.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "sets": [name for name in SETS if name in flags] or [torch.backends.cpu.get_cpu_capability()],
        "memory": round(int(memory.split()[0]) / 2**20) if memory else None,  # GiB, of kB
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": versions("torch", "numpy", *packages),
    }


def said(found: dict[str, Any], threads: str) -> str:
    """Write the facts as a sentence, and what there is to say of threads."""
    numbers = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    memory = "" if found["memory"] is None else f"{found['memory']} GiB, "
    return (
        f"{found['processor']}, {found['cores']} cores ({', '.join(found['sets'])}), {memory}"
        f"{found['system']}; Python {found['python']}, {numbers}; {threads}."
    )


def of_threads(count: int) -> str:
    """Say how many threads each process has."""
    return f"{count} thread{'' if count == 1 else 's'} per process"


def load() -> float:
    """Give the load average of the last minute: runnable processes, this one among them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _first_values(path: Path) -> dict[str, str]:
    """Read ``name: value`` lines; the first of a name counts."""
    found: dict[str, str] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    return found

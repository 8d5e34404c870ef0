"""What a machine is, and how busy: one line that stands over every table."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

SETS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "avx512_fp16")  # those that a training notices
PACKAGES = ("torch", "numpy", "onnxruntime", "polars")


def facts(threads: int) -> dict[str, Any]:
    """Give processor, cores, instruction sets, memory and versions."""
    told, memory = _first_values(Path("/proc/cpuinfo")), _first_values(Path("/proc/meminfo")).get("MemTotal", "")
    flags = set(told.get("flags", told.get("Features", "")).split())
    return {
        "processor": told.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "sets": [name for name in SETS if name in flags] or [torch.backends.cpu.get_cpu_capability()],
        "memory": round(int(memory.split()[0]) / 2**20) if memory else None,  # GiB, of kB
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "threads": threads,
    }


def said(found: dict[str, Any]) -> str:
    """Write the facts as a sentence or two."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    memory = "" if found["memory"] is None else f"{found['memory']} GiB, "
    count = "1 thread" if found["threads"] == 1 else f"{found['threads']} threads"
    return (
        f"{found['processor']}, {found['cores']} cores ({', '.join(found['sets'])}), {memory}"
        f"{found['system']}; Python {found['python']}, {versions}; {count} per process."
    )


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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

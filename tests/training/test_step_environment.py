import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tsmtl
from tsmtl.native.denormals import denormals_are_zeros
from tsmtl.training import loop, step_environment
from tsmtl.training.step_environment import SAID

FAULTS = """
import platform, resource, sys
import torch
from tsmtl.training.step_environment import step_environment

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        parts = [torch.ones(2**19) for _ in range(48)]  # 2 MiB each, 96 in all: more than glibc keeps
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
with step_environment():
    with step_environment():
        pass
    faults()  # what is kept has to be asked for once
    inside = faults()
outside = faults()
print(platform.libc_ver()[0], inside, outside)
"""


def page_faults(environment: dict[str, str]) -> tuple[int, int]:
    """Give the page faults of twenty rounds inside and outside."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    library, inside, outside = done.stdout.split()
    if library != "glibc":
        pytest.skip(f"the C library is {library or 'unknown'}, not glibc")
    return int(inside), int(outside)


def environment_with(monkeypatch: pytest.MonkeyPatch, **more: str) -> dict[str, str]:
    for name in (*SAID, "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    return {**os.environ, **more}


def test_freed_memory_is_not_asked_for_again_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = page_faults(environment_with(monkeypatch))
    assert inside < 20 * 10
    assert outside > 20 * 40  # in each round 24,576 pages of 4 KiB, or 48 of 2 MiB where it may lie in these still


@pytest.mark.parametrize(
    "said",
    [
        {"MALLOC_TRIM_THRESHOLD_": "0"},
        {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=0"},
        {"MALLOC_TOP_PAD_": "4096"},
    ],
)
def test_the_environments_word_counts(monkeypatch: pytest.MonkeyPatch, said: dict[str, str]) -> None:
    inside, _ = page_faults(environment_with(monkeypatch, **said))
    assert inside > 20 * 1000


GAPS = """
import platform, resource
import torch
from tsmtl.training.step_environment import freed_memory_kept

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

with freed_memory_kept():
    pass
parts = [torch.ones(2**14) for _ in range(2000)]  # 64 KiB each, 125 MiB in all
del parts[::2]
before = resident()
with freed_memory_kept():
    print(platform.libc_ver()[0], before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_lies_free_between_data_is_given_back_before_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GAPS], env=environment_with(monkeypatch), capture_output=True, text=True, check=True
    )
    library, given_back = done.stdout.split()
    if library != "glibc":
        pytest.skip(f"the C library is {library or 'unknown'}, not glibc")
    assert int(given_back) > 50 * 2**20


LARGE = """
import platform, resource, sys
import torch
from tsmtl.training.step_environment import freed_memory_kept

def in_large_pages():
    with open("/proc/self/smaps") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("AnonHugePages")) / 1024

def addresses():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize() / 2**20

torch.set_num_threads(1)
if sys.argv[1] == "limited":
    resource.setrlimit(resource.RLIMIT_AS, (2**40, resource.getrlimit(resource.RLIMIT_AS)[1]))
before = addresses()
with freed_memory_kept():
    grown = addresses() - before
    with freed_memory_kept():
        again = addresses() - before - grown
    parts = [torch.ones(2**18) for _ in range(64)]  # 64 MiB in all
    inside = in_large_pages()
    del parts
print(platform.libc_ver()[0], grown, again, inside, in_large_pages(), addresses() - before)
"""
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def of_large_pages(monkeypatch: pytest.MonkeyPatch, limit: str) -> list[float]:
    """Give MiB: how much the heap grows, and again, what lies in large pages inside and outside, and what stays."""
    if not LARGE_PAGES.exists() or "[madvise]" not in LARGE_PAGES.read_text():
        pytest.skip("the system has no large pages for those who ask")
    done = subprocess.run(
        [sys.executable, "-c", LARGE, limit],
        env=environment_with(monkeypatch),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    library, *found = done.stdout.split()
    if library != "glibc":
        pytest.skip(f"the C library is {library or 'unknown'}, not glibc")
    return [float(one) for one in found]


def test_what_steps_ask_for_lies_in_large_pages_and_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    grown, again, inside, outside, stays = of_large_pages(monkeypatch, "unlimited")
    assert 1024 <= grown < 1100
    assert again < 1
    assert inside > 48
    assert outside < 16
    assert stays < 80  # glibc keeps 64


def test_a_limit_of_addresses_is_not_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    grown, _, inside, _, _ = of_large_pages(monkeypatch, "limited")
    assert grown < 100
    assert inside < 16


class OldAllocator:
    """Refuses a threshold above 32 MiB, as an old glibc does."""

    def __init__(self) -> None:
        self.took: list[tuple[int, int]] = []

    def mallopt(self, option: int, size: int) -> int:
        if option == step_environment.M_MMAP_THRESHOLD and size > 2**25:
            return 0
        self.took.append((option, size))
        return 1

    def malloc_trim(self, pad: int) -> int:
        return 1

    def malloc(self, size: int) -> None:
        return None

    def free(self, block: None) -> None:
        assert block is None

    def sbrk(self, more: int) -> int:
        return 0


def test_an_old_allocator_gets_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = OldAllocator()
    monkeypatch.setattr(step_environment, "_glibc", lambda: allocator)
    with step_environment.freed_memory_kept():
        assert allocator.took == [(-3, 2**25), (-1, 2**31 - 1), (-2, 2**30), (-2, 2**17)]
    assert allocator.took[4:] == [(-3, 2**25), (-1, 2**26)]


def test_denormal_numbers_are_zeros_in_the_steps_of_a_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    original = loop.train_epoch

    def looking(*arguments: Any, **named: Any) -> torch.Tensor:
        seen.append(denormals_are_zeros())
        return original(*arguments, **named)

    monkeypatch.setattr(loop, "train_epoch", looking)
    words = ["data.n_instances=40", "model=cnn1d", "output_channels=2", "num_epochs=2", "device=cpu"]
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/run"])
    assert seen == [True, True]
    assert not denormals_are_zeros()

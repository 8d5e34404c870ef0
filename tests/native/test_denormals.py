"""Denormal numbers are zeros within a block, and numbers again behind it."""

import subprocess
import sys

import pytest
import torch

from tsmtl.native.denormals import denormals_are_zeros, denormals_as_zeros


def small() -> float:
    return (torch.tensor([1e-40]) * 1).item()


def test_they_are_zeros_within_the_block_alone():
    assert small() > 0
    assert not denormals_are_zeros()
    with denormals_as_zeros():
        assert small() == 0
        assert denormals_are_zeros()
    assert small() > 0
    with pytest.raises(RuntimeError, match="within"), denormals_as_zeros():
        raise RuntimeError("within")
    assert small() > 0


def test_who_had_them_as_zeros_before_keeps_it_so():
    torch.set_flush_denormal(True)
    try:
        with denormals_as_zeros():
            pass
        assert small() == 0
    finally:
        torch.set_flush_denormal(False)


THREADS = """
import sys, torch
from tsmtl.native.denormals import denormals_as_zeros

torch.set_num_threads(3)
tiny = torch.full((3 * 2**18,), 1e-40)

def alive():
    return (tiny * 1).count_nonzero().item() / len(tiny)

found = [alive()] if sys.argv[1] == "before" else []  # which starts the threads
with denormals_as_zeros():
    found.append(alive())
    with denormals_as_zeros():
        found.append(alive())
    found.append(alive())
print(*found[-3:], alive(), (tiny[:1] * 2).item() > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch's threads are libgomp's under Linux")
@pytest.mark.parametrize("started", ["before", "inside"])
def test_they_are_zeros_in_all_threads_whenever_these_were_started(started):
    done = subprocess.run(
        [sys.executable, "-c", THREADS, started], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["0.0", "0.0", "0.0", "1.0", "True"]


def test_threads_round_as_before():
    with denormals_as_zeros():
        pass
    x = torch.rand(2**18, generator=torch.Generator().manual_seed(0)) + 1
    assert torch.equal(x * (1 + 2**-23), torch.from_numpy(x.numpy() * x.numpy().dtype.type(1 + 2**-23)))

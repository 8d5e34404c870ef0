"""Training steps find the memory that the steps before them freed."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, torch
from tsmtl.models import multitask
from tsmtl.models.registry import build_backbone
if sys.argv[1] == "without":
    multitask.keep_freed_memory = lambda: None
sizes = {"output_channels": 64, "kernel_size": 3, "stride": 1, "padding": 1, "dropout": 0.0, "readout": "mean"}
model = multitask.MultiTaskModel(build_backbone("cnn1d", sizes, 9, 256), {"cls": 4})
x, before = torch.randn(32, 9, 256), 0
for step in range(12):
    if step == 6:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model(x)["cls"].square().sum().backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 6)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by other rules")
def test_a_step_asks_the_system_for_no_memory_but_the_first_ones():
    faults = [
        int(subprocess.run([sys.executable, "-c", SCRIPT, word], capture_output=True, text=True, check=True).stdout)
        for word in ("with", "without")
    ]
    assert faults[0] < 50  # pages of 4 KiB
    assert faults[1] > 4 * faults[0] + 500, "there was nothing to keep"

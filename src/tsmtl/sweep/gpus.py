"""The GPUs of this machine, as a process is told which of them it may use."""

import os
import subprocess
from contextlib import suppress

from tsmtl.sweep.process import VISIBLE, python, python_environment

_COUNT = "import torch; print(torch.cuda.device_count())"


def visible_gpus() -> list[str]:
    """Name the GPUs that PyTorch finds here, each as ``CUDA_VISIBLE_DEVICES`` takes it: by number or UUID.

    A process of its own counts them, since PyTorch takes a second to import; where it fails there are none.
    """
    command = [*python(), "-c", _COUNT]
    counted = subprocess.run(command, capture_output=True, text=True, check=False, env=python_environment())
    count = 0
    with suppress(ValueError):  # PyTorch does not even import: the processes of the sweep will say why
        count = int(counted.stdout)
    named = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]

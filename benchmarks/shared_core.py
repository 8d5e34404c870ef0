"""What a busy neighbour costs: a training step while another process keeps one core busy, by OpenMP's waiting.

    python benchmarks/shared_core.py

Each row is a process of its own, since the setting is read when torch is imported; ``tsmtl-train`` sets
``GOMP_SPINCOUNT=1000`` unless the environment has it.
"""

import os
import subprocess
import sys

CHILD = """
import statistics, time, torch
from benchmarks.step_loop import CASES, CLASSES, plain_loop
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
from tsmtl.training.batches import TensorSplit
torch.manual_seed(0)
for name in ("fc", "lstm_fcn"):
    settings, shape, batch = CASES[name]
    shape = (shape[0], 32) if len(shape) == 2 else shape
    n = 8 * batch
    split = TensorSplit(torch.randn(n, *shape), {"cls": torch.randint(CLASSES, (n,)), "reg": torch.randn(n, 1)})
    backbone = build_backbone(name, dict(settings), shape[0], shape[1] if len(shape) == 2 else None)
    loop = plain_loop(MultiTaskModel(backbone, {"cls": CLASSES, "reg": 1}), split, batch)
    loop()
    times = []
    for _ in range(7):
        began = time.perf_counter()
        loop()
        times.append((time.perf_counter() - began) / 8 * 1e3)
    print(f"{name} {statistics.median(times):8.2f} ms", end="   ")
print()
"""
SETTINGS = [{}, {"GOMP_SPINCOUNT": "1000"}, {"OMP_WAIT_POLICY": "passive"}, {"OMP_NUM_THREADS": "1"}]


def main() -> None:
    """Print a row per setting, alone and with a busy neighbour."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for busy in (False, True):
        print("with a busy neighbour" if busy else "alone")
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
        try:
            for setting in SETTINGS:
                environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
                said = " ".join(f"{k}={v}" for k, v in setting.items()) or "torch's default"
                print(f"  {said:<24}", end=" ", flush=True)
                subprocess.run([sys.executable, "-c", CHILD], env=environment | setting, cwd=here, check=True)
        finally:
            if neighbour is not None:
                neighbour.kill()
                neighbour.wait()


if __name__ == "__main__":
    main()

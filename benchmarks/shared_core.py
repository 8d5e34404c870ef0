"""What a busy neighbour costs: a training step while another process keeps one core busy, by threads and their waiting.

    python benchmarks/shared_core.py [--repeats 3] [--models fc cnn1d gru lstm lstm_fcn]

Each row is a process of its own, since the setting is read when torch is imported. *tsmtl* is what ``tsmtl-train``
does: ``GOMP_SPINCOUNT=1000``, and ``threads_for`` the model and the batch. Rows take turns; milliseconds a step,
medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

CHILD = """
import json, os, statistics, sys, time, torch
from benchmarks.step_loop import CASES, CLASSES, plain_loop
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
from tsmtl.training.batches import TensorSplit
from tsmtl.training.threads import threads_for
found = {}
torch.manual_seed(0)
for name in sys.argv[1:]:
    settings, shape, batch = CASES[name]
    n = 8 * batch
    split = TensorSplit(torch.randn(n, *shape), {"cls": torch.randint(CLASSES, (n,)), "reg": torch.randn(n, 1)})
    backbone = build_backbone(name, dict(settings), shape[0], shape[1] if len(shape) == 2 else None)
    if "RULE" in os.environ:
        torch.set_num_threads(os.cpu_count())
        torch.set_num_threads(threads_for(backbone, batch, shape[1] if len(shape) == 2 else 1))
    loop = plain_loop(MultiTaskModel(backbone, {"cls": CLASSES, "reg": 1}), split, batch)
    loop()
    times = []
    for _ in range(7):
        began = time.perf_counter()
        loop()
        times.append((time.perf_counter() - began) / 8 * 1e3)
    found[name] = statistics.median(times)
print(json.dumps(found))
"""
SETTINGS = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "tsmtl": {"GOMP_SPINCOUNT": "1000", "RULE": "1"},
    "tsmtl, passive": {"OMP_WAIT_POLICY": "passive", "RULE": "1"},
    "all cores, GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "all cores, as torch waits": {},
}


def main() -> None:
    """Print a row per setting, alone and with a busy neighbour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=["fc", "cnn1d", "gru", "lstm", "lstm_fcn"])
    arguments = parser.parse_args()
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for busy in (False, True):
        print(f"\n{'with a busy neighbour' if busy else 'alone'}, load {os.getloadavg()[0]:.1f}\n")
        print(f"| threads | {' | '.join(arguments.models)} |")
        print(f"|---|{'---|' * len(arguments.models)}")
        found: dict[str, list[dict[str, float]]] = {name: [] for name in SETTINGS}
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
        try:
            for _ in range(arguments.repeats):
                for name, setting in SETTINGS.items():
                    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
                    command = [sys.executable, "-c", CHILD, *arguments.models]
                    answer = subprocess.check_output(command, env=environment | setting, cwd=here, text=True)
                    found[name].append(json.loads(answer))
        finally:
            if neighbour is not None:
                neighbour.kill()
                neighbour.wait()
        for name, repeats in found.items():
            cells = [f"{statistics.median(one[model] for one in repeats):.2f}" for model in arguments.models]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

"""What training steps in bfloat16 gain over float32, per model and batch size.

Usage: python -m benchmarks.precision_speed [--repeats 9] [--seconds 0.3] [--models lstm_fcn lstm]

Both precisions run in one process and in turn, on copies of the same model; the gain is taken pair by pair, from the
time that the processor spent. ``OMP_NUM_THREADS=1`` for one core. ``lstm_fcn, tsai's sizes`` has the layers of tsai's
LSTM_FCN; ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16`` or ``AVX512_CORE`` shows a processor with fewer units.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.step_loop import CASES, CLASSES, tsmtl_loop
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
from tsmtl.training.batches import TensorSplit
from tsmtl.training.step_environment import step_environment

TSAI = {"kernel_sizes": [7, 5, 3], "lstm_hidden_size": 100, "dimension_shuffle": True}
MODELS: dict[str, tuple[str, dict[str, object]]] = {name: (name, {}) for name in CASES if name != "gru"} | {
    "lstm_fcn, tsai's sizes": ("lstm_fcn", TSAI),
    "lstm_fcn, tsai's sizes, no SE": ("lstm_fcn", {**TSAI, "squeeze_excite": False}),
}
STEPS = 4  # in a turn of a batch


def loops_of(name: str, batch_size: int) -> list[Callable[[], None]]:
    """Give the loops in float32 and in bfloat16."""
    kind, changes = MODELS[name]
    settings, shape, _ = CASES[kind]
    n = STEPS * batch_size
    split = TensorSplit(torch.randn(n, *shape), {"cls": torch.randint(CLASSES, (n,)), "reg": torch.randn(n, 1)})
    steps = shape[1] if len(shape) == 2 else None
    float32 = MultiTaskModel(build_backbone(kind, settings | changes, shape[0], steps), {"cls": CLASSES, "reg": 1})
    bf16 = copy.deepcopy(float32)
    bf16.bf16 = True
    return [tsmtl_loop(model, split, batch_size) for model in (float32, bf16)]


@step_environment()
def main() -> None:
    """Print one row per model and batch size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn, about")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| model | batch | float32 ms | bf16 ms | gain | least - most of the pairs |\n|---|---|---|---|---|---|")
    for name in arguments.models:
        for batch_size in (16, 64):
            torch.manual_seed(0)
            loops = loops_of(name, batch_size)
            times: list[list[float]] = [[], []]
            rounds = 1
            for repeat in range(-1, arguments.repeats):  # the first is a warm-up
                for which in (0, 1) if repeat % 2 else (1, 0):  # neither goes always first
                    began = time.process_time()
                    for _ in range(rounds):
                        loops[which]()
                    spent = (time.process_time() - began) / (rounds * STEPS)
                    if repeat >= 0:
                        times[which].append(1e3 * spent)
                if repeat < 0:
                    rounds = max(1, round(arguments.seconds / (STEPS * spent)))
            medians = [statistics.median(t) for t in times]
            gains = sorted(a / b for a, b in zip(*times, strict=True))
            print(
                f"| {name} | {batch_size} | {medians[0]:.2f} | {medians[1]:.2f} | {statistics.median(gains):.2f} | "
                f"{gains[0]:.2f} - {gains[-1]:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

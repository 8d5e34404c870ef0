"""What training steps in bfloat16 gain over float32, per model and batch size.

    python -m benchmarks.precision_speed [--repeats 9] [--seconds 0.3] [--models lstm_fcn lstm]

Both precisions run in one process and in turn, on copies of the same model; the gain is taken pair by pair, from the
time that the processor spent. ``OMP_NUM_THREADS=1`` for one core. ``lstm_fcn, tsai's sizes`` has the layers of tsai's
LSTM_FCN; ``ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16`` or ``AVX512_CORE`` shows a processor with fewer units.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from benchmarks import machine
from benchmarks.cases import BY_NAME, CASES, Case, model_of, split_of
from benchmarks.step_loop import tsmtl_loop
from benchmarks.table import markdown, ratios, spread
from tsmtl.training.step_environment import step_environment

TSAI = BY_NAME["lstm_fcn, tsai's sizes"]
WITH_SE = replace(TSAI, name=f"{TSAI.name}, with SE", changed=TSAI.changed | {"squeeze_excite": True})
MODELS = {case.name: case for case in [*CASES, WITH_SE] if case.model != "gru"}  # a GRU trains in float32
STEPS = 4  # in a turn of a batch


def loops_of(case: Case, batch_size: int) -> list[Callable[[], None]]:
    """Give the loops in float32 and in bfloat16."""
    split, float32 = split_of(case, STEPS * batch_size), model_of(case)
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
    print(machine.said(machine.facts(), machine.of_threads(torch.get_num_threads())) + "\n")
    body = []
    for name in arguments.models:
        for batch_size in (16, 64):
            torch.manual_seed(0)
            loops = loops_of(MODELS[name], batch_size)
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
            medians = [f"{spread(took).median:.2f}" for took in times]
            body.append([name, str(batch_size), *medians, spread(ratios(*times)).said()])
            print(body[-1], file=sys.stderr, flush=True)
    print(markdown(["model", "batch", "float32 ms", "bf16 ms", "gain"], body))


if __name__ == "__main__":
    main()

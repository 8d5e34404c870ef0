"""What ``trainer.conflict=epoch`` costs a training: time of a look at the probe beside the time of the steps it is for.

    OMP_NUM_THREADS=1 python -m benchmarks.conflict [--repeats 9] [--steps 10 60] [--models cnn1d lstm lstm_fcn]

An epoch of so many steps and a look take turns in one process and thread. A ratio is that of one round: the look's time
over that of the epochs that have time for one (``every``), as :func:`tsmtl.training.probe.plan` counts them.
Validation, which a run has besides, is left out. Times are those of the processor, which other work on the machine
disturbs less.
"""

import argparse
import copy
import statistics
import time

import torch

from benchmarks.cases import BY_NAME, MODELS, model_of, split_of
from benchmarks.step_loop import ALPHA, tsmtl_loop
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.conflict import Conflict
from tsmtl.training.step_environment import step_environment

WEIGHTS = {"cls": ALPHA, "reg": 1 - ALPHA}


@step_environment()
def main() -> None:
    """Print one row per model and number of steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--models", nargs="+", choices=MODELS[1:], default=["cnn1d", "lstm", "lstm_fcn"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"{'model':<9} {'steps':>5} {'probe':>5} {'every':>5} {'epoch ms':>9} {'look ms':>8}   cost  (min - max)")
    losses = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}
    for name in arguments.models:
        case = BY_NAME[name]
        batch_size = case.batch_size
        for steps in arguments.steps:
            torch.manual_seed(0)
            split, model = split_of(case, steps * batch_size), model_of(case)
            epoch = tsmtl_loop(copy.deepcopy(model), split, batch_size)
            conflict = Conflict(model, Criterion(losses, WEIGHTS), split, batch_size, steps, range(1, 10**4), seed=0)
            every, epochs, looks = conflict.plan.time_of_one, [], []
            for repeat in range(arguments.repeats + 1):
                times = [time.process_time()]
                epoch()
                times.append(time.process_time())
                conflict.after_epoch(1, WEIGHTS)
                times.append(time.process_time())
                if repeat:  # the first is a warm-up
                    epochs.append(times[1] - times[0])
                    looks.append(times[2] - times[1])
            ratios = sorted(look / (every * own) for look, own in zip(looks, epochs, strict=True))
            print(
                f"{name:<9} {steps:>5} {conflict.instances:>5} {every:>5} {1e3 * statistics.median(epochs):>9.1f} "
                f"{1e3 * statistics.median(looks):>8.1f} {100 * statistics.median(ratios):>5.2f} %  "
                f"({100 * ratios[0]:.2f} - {100 * ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()

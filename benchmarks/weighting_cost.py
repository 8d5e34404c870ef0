"""What a training step costs with each weighting method, over ``weighting=fixed``.

    python -m benchmarks.weighting_cost [--repeats 9] [--steps 6] [--models cnn1d lstm]

All methods train copies of the same model in one process and thread, in turn; a ratio is that of the steps of one
round. Times are those of the processor, which other work on the machine disturbs less.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.cases import BY_NAME, MODELS, model_of, split_of
from benchmarks.step_loop import tsmtl_loop
from tsmtl.config.weighting_settings import WEIGHTINGS
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.balance import Balance
from tsmtl.training.batches import TensorSplit
from tsmtl.training.ranks import ALONE
from tsmtl.training.step_environment import step_environment
from tsmtl.weighting.registry import build_weighting

TASKS = {"cls": "cls", "reg": "reg"}


def epoch_of(method: str, model: MultiTaskModel, split: TensorSplit, batch_size: int) -> Callable[[], None]:
    """Give what trains an epoch with a method's shipped settings."""
    from omegaconf import OmegaConf

    from tsmtl.config.location import config_dir

    content = OmegaConf.to_container(OmegaConf.load(config_dir() / "weighting" / f"{method}.yaml"))
    built = build_weighting(WEIGHTINGS[method].model_validate(content), list(TASKS.values()), 1e-4, split.device)
    balance = None if built is None else Balance(built, model, list(TASKS), ALONE)
    return tsmtl_loop(model, split, batch_size, balance)


@step_environment()
def main() -> None:
    """Print one row per model and method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["cnn1d", "lstm"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"{'model':<10} {'weighting':<12} {'ms':>8} {'ratio':>6}  (min - max of the rounds)")
    for name in arguments.models:
        case = BY_NAME[name]
        torch.manual_seed(0)
        split, model = split_of(case, arguments.steps * case.batch_size), model_of(case)
        epochs = {method: epoch_of(method, copy.deepcopy(model), split, case.batch_size) for method in WEIGHTINGS}
        times: dict[str, list[float]] = {method: [] for method in epochs}
        for repeat in range(arguments.repeats + 1):
            order = list(epochs) if repeat % 2 else list(reversed(epochs))  # none goes always first
            for method in order:
                began = time.process_time()
                epochs[method]()
                if repeat:  # the first is a warm-up
                    times[method].append((time.process_time() - began) / arguments.steps * 1e3)
        for method, own in times.items():
            ratios = sorted(a / b for a, b in zip(own, times["fixed"], strict=True))
            print(
                f"{name:<10} {method:<12} {statistics.median(own):>8.2f} {statistics.median(ratios):>6.2f}"
                f"  ({ratios[0]:.2f} - {ratios[-1]:.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()

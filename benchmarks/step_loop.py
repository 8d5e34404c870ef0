"""What tsmtl's step loop costs over a plain torch loop with the same model, batches and optimiser.

    python -m benchmarks.step_loop [--repeats 15] [--steps 40] [--models fc gru]

Both loops run in one process, in turn, on copies of the same model, both with denormal
numbers as 0 and freed memory kept, as ``tsmtl-train`` has it; the ratio is taken pair by pair.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.cases import BY_NAME, MODELS, model_of, split_of
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.balance import Balance
from tsmtl.training.batches import TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.loop import Fit, train_epoch
from tsmtl.training.optimizers import build_optimizer
from tsmtl.training.ranks import ALONE
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.step import Step
from tsmtl.training.step_environment import step_environment

ALPHA = 0.5


def trainer_settings() -> TrainerSettings:
    """The shipped defaults of the trainer."""
    from omegaconf import OmegaConf

    from tsmtl.config.location import config_dir

    return TrainerSettings.model_validate(
        OmegaConf.to_container(OmegaConf.load(config_dir() / "trainer" / "default.yaml"))
    )


def plain_loop(model: MultiTaskModel, split: TensorSplit, batch_size: int) -> Callable[[], None]:
    """A loop as one would write it by hand for speed: in-memory tensors, index batches, fused Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    x, ids, numbers = split.x, split.targets["cls"], split.targets["reg"]
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        model.train()
        for rows in torch.randperm(len(x), generator=generator).split(batch_size):
            optimizer.zero_grad()
            outputs = model(x[rows])
            loss = ALPHA * F.cross_entropy(outputs["cls"], ids[rows])
            loss = loss + (1 - ALPHA) * F.mse_loss(outputs["reg"], numbers[rows])
            loss.backward()
            optimizer.step()

    return run


def tsmtl_loop(
    model: MultiTaskModel, split: TensorSplit, batch_size: int, balance: Balance | None = None
) -> Callable[[], None]:
    """The loop that ``tsmtl-train`` runs."""
    settings = trainer_settings()
    optimizer = build_optimizer(model.parameters(), 1e-4, settings)
    schedule = Schedule(optimizer, settings, 1, 1)
    losses = {"cls": cross_entropy(None, 0.0, masked=False), "reg": regression_loss("mse", 1.0, masked=False)}
    criterion = Criterion(losses, {"cls": ALPHA, "reg": 1 - ALPHA})
    generator = torch.Generator().manual_seed(0)
    sampler = Sampler(len(split), batch_size, split.device)
    step = Step(model, criterion, optimizer, None, None, ALONE, balance)
    bar = tqdm(disable=True)

    def run() -> None:
        result = Fit(BestEpoch(higher_is_better=False, patience=None))
        train_epoch(step, schedule, split, sampler, generator, bar.update, result)

    return run


@step_environment()
def main() -> None:
    """Print one row per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"{'model':<10} {'batch':>5} {'plain ms':>9} {'tsmtl ms':>9} {'ratio':>6}  (min - max of the pairs)")
    for name in arguments.models:
        case = BY_NAME[name]
        torch.manual_seed(0)
        split, model = split_of(case, arguments.steps * case.batch_size), model_of(case)
        loops = [plain_loop(copy.deepcopy(model), split, case.batch_size), tsmtl_loop(model, split, case.batch_size)]
        times: list[list[float]] = [[], []]
        for repeat in range(arguments.repeats + 1):
            for which in (0, 1) if repeat % 2 else (1, 0):  # neither goes always first
                began = time.perf_counter()
                loops[which]()
                if repeat:  # the first is a warm-up
                    times[which].append((time.perf_counter() - began) / arguments.steps * 1e3)
        plain, ours = (statistics.median(t) for t in times)
        ratios = sorted(b / a for a, b in zip(*times, strict=True))
        print(
            f"{name:<10} {case.batch_size:>5} {plain:>9.3f} {ours:>9.3f} {statistics.median(ratios):>6.3f}"
            f"  ({ratios[0]:.3f} - {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()

"""What tsmtl's step loop costs over a plain torch loop with the same model, batches and optimiser.

    python benchmarks/step_loop.py [--repeats 15] [--steps 40] [--models fc gru]

Both loops run in one process, in turn, on copies of the same model; the ratio is taken pair by pair.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F
from tqdm import tqdm

from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.models.registry import build_backbone
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

CLASSES, ALPHA = 4, 0.5
RECURRENT = {"hidden_size": 64, "num_layers": 2, "dropout": 0.1, "bidirectional": True, "readout": "last"}
CASES: dict[str, tuple[dict[str, object], tuple[int, ...], int]] = {  # arguments, shape of an instance, batch size
    "fc": ({"hidden_sizes": [128, 64], "dropout": 0.1, "bias": True}, (128,), 16),
    "cnn1d": (
        {
            "output_channels": 64,
            "kernel_size": 3,
            "stride": 1,
            "padding": 0,
            "dropout": 0.1,
            "readout": "flatten",
        },
        (9, 128),
        16,
    ),
    "gru": (RECURRENT, (9, 128), 16),
    "lstm": (RECURRENT, (9, 128), 16),
    "lstm_fcn": (
        {
            "num_layers": 1,
            "lstm_drop_out": 0.4,
            "fc_drop_out": 0.1,
            "lstm_hidden_size": 64,
            "conv_channels": [128, 256, 128],
            "kernel_sizes": [8, 5, 3],
            "squeeze_excite": True,
            "dimension_shuffle": False,
            "readout": "mean",
        },
        (9, 128),
        64,
    ),
}


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


def main() -> None:
    """Print one row per model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    print(f"{'model':<10} {'batch':>5} {'plain ms':>9} {'tsmtl ms':>9} {'ratio':>6}  (min - max of the pairs)")
    for name in arguments.models:
        settings, shape, batch_size = CASES[name]
        torch.manual_seed(0)
        n = arguments.steps * batch_size
        targets = {"cls": torch.randint(CLASSES, (n,)), "reg": torch.randn(n, 1)}
        split = TensorSplit(torch.randn(n, *shape), targets)
        seq_len = shape[1] if len(shape) == 2 else None
        model = MultiTaskModel(build_backbone(name, dict(settings), shape[0], seq_len), {"cls": CLASSES, "reg": 1})
        loops = [plain_loop(copy.deepcopy(model), split, batch_size), tsmtl_loop(model, split, batch_size)]
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
            f"{name:<10} {batch_size:>5} {plain:>9.3f} {ours:>9.3f} {statistics.median(ratios):>6.3f}"
            f"  ({ratios[0]:.3f} - {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()

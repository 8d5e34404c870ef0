"""Trains the stock models with Lightning: ``python -m benchmarks.workers.in_lightning``."""

import logging
import warnings
from typing import Any

import benchmarks.workers.torchvision_names  # noqa: F401

# isort: split
import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.stock_models import stock_model, two_task_loss
from benchmarks.workers.in_torch import LR, read
from benchmarks.workers.rounds import Case, Rounds, serve


class Module(lightning.LightningModule):  # type: ignore[misc, unused-ignore]
    """A stock model, its loss, Adam, and the loss's mean of an epoch logged."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = stock_model(case["model"], tuple(case["shape"]), case["settings"])

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        """Give the loss of a batch."""
        x, ids, numbers = batch
        loss = two_task_loss(self.model(x), ids, numbers)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(x))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give the optimiser."""
        return torch.optim.Adam(self.parameters(), LR)


class EpochIsRound(lightning.Callback):  # type: ignore[misc, unused-ignore]
    """Waits before each epoch; its steps are a round."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds

    def on_train_epoch_start(self, *_: Any) -> None:
        """Wait, and begin."""
        self.round = self.rounds.timed()
        self.round.__enter__()

    def on_train_epoch_end(self, *_: Any) -> None:
        """End."""
        self.round.__exit__(None, None, None)


def train(case: Case, rounds: Rounds) -> None:
    """Train with the Trainer at its leanest: no logger, no checkpoint, no bar."""
    batches = DataLoader(read(case), case["batch_size"], shuffle=True)
    lean = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=-1, callbacks=[EpochIsRound(rounds)], **lean)
    trainer.fit(Module(case), batches)


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # of workers for the DataLoader, of a missing logger
    serve(train, "lightning")

"""Trains with tsai's learner: ``python -m benchmarks.workers.in_tsai``.

It learns one task, the class. Recurrent models and LSTM-FCN are tsai's own, of the same sizes; fc and cnn1d, of which
it has none, are the stock models.
"""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import benchmarks.workers.torchvision_names  # noqa: F401
from benchmarks.stock_models import CLASSES, stock_model
from benchmarks.workers.in_torch import LR
from benchmarks.workers.rounds import Case, EndError, Rounds, serve


class ClassHead(nn.Module):
    """A stock model's class."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.model = stock_model(case["model"], tuple(case["shape"]), case["settings"])
        self.shape = tuple(case["shape"])

    def forward(self, x: Tensor) -> Tensor:
        """Give logits (N, K)."""
        logits: Tensor = self.model.cls(self.model.body(x.view(-1, *self.shape)))
        return logits


def model_of(case: Case) -> nn.Module:
    """Give tsai's model of the same sizes, or a stock one."""
    from tsai.models.RNN import GRU, LSTM
    from tsai.models.RNN_FCN import LSTM_FCN, MLSTM_FCN

    name, given = case["model"], case["settings"]
    torch.manual_seed(0)
    if name in ("gru", "lstm"):
        sizes = {"hidden_size": given["hidden_size"], "n_layers": given["num_layers"], "rnn_dropout": given["dropout"]}
        layer = GRU if name == "gru" else LSTM
        made = layer(
            case["shape"][0], CLASSES, bidirectional=given["bidirectional"], fc_dropout=given["dropout"], **sizes
        )
    elif name == "lstm_fcn":
        whole = MLSTM_FCN if given["squeeze_excite"] else LSTM_FCN
        between = given["lstm_drop_out"] if given["num_layers"] > 1 else 0.0
        sizes = {"hidden_size": given["lstm_hidden_size"], "rnn_layers": given["num_layers"], "cell_dropout": between}
        convs = {
            "conv_layers": given["conv_channels"],
            "kss": given["kernel_sizes"],
            "fc_dropout": given["fc_drop_out"],
        }
        shuffle = {"shuffle": given["dimension_shuffle"], "rnn_dropout": given["lstm_drop_out"]}
        made = whole(case["shape"][0], CLASSES, seq_len=case["shape"][1], **sizes, **convs, **shuffle)
    else:
        made = ClassHead(case)
    module: nn.Module = made
    return module


def train(case: Case, rounds: Rounds) -> None:
    """Train by ``Learner.fit``; each epoch's steps are a round."""
    from fastai.callback.core import Callback, CancelFitException, CancelValidException
    from tsai.basics import TSClassification, get_ts_dls
    from tsai.learner import ts_learner

    class EpochIsRound(Callback):  # type: ignore[misc, unused-ignore]
        order = 1000  # after the callbacks that set the epoch up

        def before_train(self) -> None:
            self.round = rounds.timed()
            try:
                self.round.__enter__()
            except EndError as error:
                raise CancelFitException from error

        def after_train(self) -> None:
            self.round.__exit__(None, None, None)

        def before_validate(self) -> None:
            raise CancelValidException

    with np.load(case["data"]) as arrays:
        x, y, split = arrays["X"], arrays["state"], arrays["split"]
    x = x.reshape(len(x), -1, x.shape[-1])  # (N, C, T); of vectors (N, 1, E)
    splits = tuple(np.flatnonzero(split == name).tolist() for name in ("train", "val"))
    loaders = get_ts_dls(x, y, splits=splits, tfms=[None, TSClassification()], bs=case["batch_size"], num_workers=0)
    learner: Any = ts_learner(loaders, model_of(case), lr=LR, metrics=None)
    learner.add_cb(EpochIsRound())
    with learner.no_bar(), learner.no_logging():
        learner.fit(10**9)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    serve(train, "tsai", "fastai")

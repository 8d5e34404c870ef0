"""The shipped models written anew in plain torch, as a user of torch would: equal sizes and order of parameters.

Nothing of tsmtl is imported, so that whatever tsmtl makes faster stays out of what it is compared with, and so that
environments without tsmtl can train them.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 4
Settings = dict[str, Any]


class FC(nn.Module):
    """Linear layers with ReLU and dropout on vectors (N, E)."""

    def __init__(self, shape: tuple[int, ...], settings: Settings) -> None:
        super().__init__()
        sizes = [shape[0], *settings["hidden_sizes"]]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(settings["dropout"])]
        self.layers = nn.Sequential(*layers)
        self.embed_dim = sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Embed (N, E)."""
        embedding: Tensor = self.layers(x)
        return embedding


class CNN1D(nn.Module):
    """Two blocks of convolution, batch norm and ReLU, flattened."""

    def __init__(self, shape: tuple[int, ...], settings: Settings) -> None:
        super().__init__()
        width, kernel = settings["output_channels"], settings["kernel_size"]
        step = {"stride": settings["stride"], "padding": settings["padding"]}
        self.layers = nn.Sequential(
            *(nn.Conv1d(shape[0], width, kernel, bias=False, **step), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Conv1d(width, 2 * width, kernel, bias=False, **step), nn.BatchNorm1d(2 * width), nn.ReLU()),
            *(nn.Flatten(), nn.Dropout(settings["dropout"])),
        )
        steps = shape[1]
        for _ in range(2):
            steps = (steps + 2 * settings["padding"] - kernel) // settings["stride"] + 1
        self.embed_dim = 2 * width * steps

    def forward(self, x: Tensor) -> Tensor:
        """Embed (N, C, T)."""
        embedding: Tensor = self.layers(x)
        return embedding


class Recurrent(nn.Module):
    """``nn.GRU`` or ``nn.LSTM``; the final states of both directions are the embedding."""

    def __init__(self, layer: type[nn.GRU] | type[nn.LSTM], shape: tuple[int, ...], settings: Settings) -> None:
        super().__init__()
        hidden, both = settings["hidden_size"], settings["bidirectional"]
        named = {"dropout": settings["dropout"], "bidirectional": both, "batch_first": True}
        self.rnn = layer(shape[0], hidden, settings["num_layers"], **named)
        self.dropout = nn.Dropout(settings["dropout"])
        self.directions = 2 if both else 1
        self.embed_dim = self.directions * hidden

    def forward(self, x: Tensor) -> Tensor:
        """Embed (N, C, T)."""
        _, final = self.rnn(x.transpose(1, 2))
        h_n = final[0] if isinstance(final, tuple) else final  # (layers * directions, N, hidden)
        embedding: Tensor = self.dropout(torch.cat(tuple(h_n[-self.directions :]), dim=1))
        return embedding


class SqueezeExcite(nn.Module):
    """Weighs channels by their means over time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, channels // 16, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 16, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh (N, F, T)."""
        weighed: Tensor = x * self.layers(x.mean(dim=2))[:, :, None]
        return weighed


class LSTMFCN(nn.Module):
    """Three convolution blocks, averaged over time, beside an LSTM."""

    def __init__(self, shape: tuple[int, ...], settings: Settings) -> None:
        super().__init__()
        (channels, steps), widths = shape, settings["conv_channels"]
        sizes = list(zip([channels, *widths], widths, settings["kernel_sizes"], strict=False))
        self.convs = nn.ModuleList(nn.Conv1d(a, b, kernel, padding="same", bias=False) for a, b, kernel in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)
        self.excites = nn.ModuleList(SqueezeExcite(width) for width in widths[:-1] if settings["squeeze_excite"])
        self.shuffle = settings["dimension_shuffle"]
        layers, hidden, drop = settings["num_layers"], settings["lstm_hidden_size"], settings["lstm_drop_out"]
        features = steps if self.shuffle else channels
        self.lstm = nn.LSTM(features, hidden, layers, batch_first=True, dropout=drop if layers > 1 else 0.0)
        self.lstm_dropout, self.fc_dropout = nn.Dropout(drop), nn.Dropout(settings["fc_drop_out"])
        self.embed_dim = hidden + widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Embed (N, C, T)."""
        _, (h_n, _) = self.lstm(x if self.shuffle else x.transpose(1, 2))
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(conv(x)))  # (N, width, T)
            if i < len(self.excites):
                x = self.excites[i](x)
        return torch.cat([self.lstm_dropout(h_n[-1]), self.fc_dropout(x.mean(dim=2))], dim=1)


class TwoHeads(nn.Module):
    """A body with a head for the class and one for the number."""

    def __init__(self, body: FC | CNN1D | Recurrent | LSTMFCN, classes: int) -> None:
        super().__init__()
        self.body = body
        self.cls, self.reg = nn.Linear(body.embed_dim, classes), nn.Linear(body.embed_dim, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give logits (N, K) and numbers (N, 1)."""
        embedding = self.body(x)
        return self.cls(embedding), self.reg(embedding)


def two_task_loss(outputs: tuple[Tensor, Tensor], ids: Tensor, numbers: Tensor) -> Tensor:
    """Give the loss of the shipped defaults: half cross-entropy, half squared error."""
    return 0.5 * F.cross_entropy(outputs[0], ids) + 0.5 * F.mse_loss(outputs[1], numbers)


Body = FC | CNN1D | Recurrent | LSTMFCN
BODIES: dict[str, Callable[[tuple[int, ...], Settings], Body]] = {
    "fc": FC,
    "cnn1d": CNN1D,
    "gru": partial(Recurrent, nn.GRU),
    "lstm": partial(Recurrent, nn.LSTM),
    "lstm_fcn": LSTMFCN,
}


def stock_model(model: str, shape: tuple[int, ...], settings: Settings, classes: int = CLASSES) -> TwoHeads:
    """Build the model that ``model=...`` names.

    Args:
        model: Key of :data:`BODIES`.
        shape: Of an instance, (E,) or (C, T).
        settings: The model's own settings, without those of training.
        classes: K.
    """
    return TwoHeads(BODIES[model](shape, settings), classes)

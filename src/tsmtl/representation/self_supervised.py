"""Representations that a network learns from the train series alone, without their targets."""

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsmtl.data.instances import FloatArray
from tsmtl.models.precision import float32_products, takes_bf16
from tsmtl.representation.method import Representation, TrainSeries

STEPS_AT_ONCE = 2**15  # of all series of a pass without gradients: what they become stays in bounded memory


@dataclass(frozen=True)
class Recipe:
    """How the network is trained.

    Attributes:
        steps: Training steps; of more than an epoch, rounded up to whole ones. None: the method's own rule.
        batch_size: Series per step.
        lr: Learning rate.
        weight_decay: Decoupled from the gradient, as in AdamW.
        weight_average: Decay of the mean of the weights that is kept, 1 for a plain mean; None: the last weights.
        gradient_clip: Largest norm of the gradient, or None.
        precision: ``float32`` or ``bf16``, of training steps.
    """

    steps: int | None
    batch_size: int
    lr: float
    weight_decay: float
    weight_average: float | None
    gradient_clip: float | None
    precision: str


class Encoder(nn.Module):
    """A network from series to vectors.

    Attributes:
        embed_dim: E.
    """

    embed_dim: int

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Give the vectors (N, E) of series (N, C, T) of one length; NaN stands for what is missing."""


class Pretext(nn.Module):
    """An encoder with what it is trained by; its forward gives the parts of the loss by name.

    Args:
        encoder: What the training is for.
        weights: Of the parts in the loss, by name.
        bf16: Let the encoder train in bfloat16; in eval mode it computes in float32.
    """

    def __init__(self, encoder: Encoder, weights: Mapping[str, float], bf16: bool) -> None:
        super().__init__()
        self.encoder, self.weights, self.bf16 = encoder, dict(weights), bf16

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Give the parts of the loss of a batch of series (N, C, T), as scalars.

        Args:
            x: Prepared series; NaN stands for what is missing, where the method takes that.
            lengths: (N,) valid steps on the CPU, or None; the longest is T.
        """

    def in_precision(self, network: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
        """Let a part of the network work in the precision of training steps; give float32."""
        if not (self.bf16 and self.training):
            return network(*inputs)
        assert inputs[0] is not None
        device = inputs[0].device
        with torch.autocast(device.type, torch.bfloat16, enabled=takes_bf16(device)):
            return network(*inputs).float()


class WeighedParts:
    """The loss of a :class:`Pretext`: the sum of its parts by their weights.

    Args:
        weights: By name.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.losses = dict(weights)

    def __call__(self, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the sum and the parts."""
        terms = [weight * outputs[name] for name, weight in self.losses.items()]
        return functools.reduce(torch.add, terms), {name: outputs[name] for name in self.losses}


Learner = Callable[[Callable[[], Pretext], TrainSeries, Recipe, int], Pretext]
"""Trains what a function makes, with random numbers of a seed, on train series by a recipe; gives it trained."""


class SelfSupervised(Representation):
    """What an encoder, trained on the train series alone, makes of a series.

    A series gives the same vector, to the rounding of float32, whatever stands beside it.

    Args:
        recipe: How it is trained.
        device: Where it works.
        learner: Trains it; None of one whose state is to be loaded.
    """

    def __init__(self, recipe: Recipe, device: torch.device, learner: Learner | None) -> None:
        self.recipe, self._device, self._learner = recipe, device, learner
        self._sizes: tuple[int, int] = (0, 0)
        self._encoder: Encoder | None = None

    @property
    def encoder(self) -> Encoder:
        """The trained encoder."""
        assert self._encoder is not None, "not fitted"
        return self._encoder

    @abstractmethod
    def pretext(self, channels: int, steps: int) -> Pretext:
        """Make a new network with what it is trained by.

        Args:
            channels: C.
            steps: T of the longest train series.

        Raises:
            UserError: If they do not fit.
        """

    def recipe_for(self, train: TrainSeries) -> Recipe:
        """Give the recipe for these train series."""
        return self.recipe

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Train the network."""
        assert self._learner is not None, "nothing to train it with"
        self._sizes = len(train.channels), train.longest
        trained = self._learner(lambda: self.pretext(*self._sizes), train, self.recipe_for(train), seed)
        self._encoder = trained.encoder.eval().requires_grad_(False)

    @property
    def steps_of_a_thread(self) -> int | None:
        """On the CPU some; TS2Vec's encoder takes a quarter less time than with four times as many."""
        return 2**13 if self._device.type == "cpu" else None

    @property
    def names(self) -> list[str]:
        """Numbered."""
        return [f"feature{i + 1}" for i in range(self.encoder.embed_dim)]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the vectors (N, E) of series (N, C, T)."""
        size = max(1, STEPS_AT_ONCE // x.shape[2])
        parts = []
        with torch.inference_mode(), float32_products(self._device):
            for at in range(0, len(x), size):
                series = torch.from_numpy(np.ascontiguousarray(x[at : at + size])).to(self._device)
                parts.append(self.encoder.embed(series).cpu().numpy())
        found: FloatArray = np.concatenate(parts)
        return found

    def state(self) -> dict[str, Any]:
        """Give the weights, and the sizes of what they were trained on."""
        weights = {name: tensor.cpu() for name, tensor in self.encoder.state_dict().items()}
        return {"channels": self._sizes[0], "steps": self._sizes[1], "weights": weights}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the weights."""
        self._sizes = state["channels"], state["steps"]
        encoder = self.pretext(*self._sizes).encoder
        encoder.load_state_dict(state["weights"])
        self._encoder = encoder.to(self._device).eval().requires_grad_(False)

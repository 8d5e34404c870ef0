"""An average of the weights over the steps of a training."""

import copy
from typing import Any, Generic, TypeVar

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Model = TypeVar("Model", bound=nn.Module)


class WeightAverage(Generic[Model]):
    """A model whose weights are the exponential moving average of another's, or their plain mean.

    Averaging the iterates of a stochastic optimiser is due to Polyak and Juditsky (1992, doi 10.1137/0330046); on
    networks it finds flatter minima (Izmailov et al. 2018, arXiv:1803.05407). The weights after each step count
    ``decay`` times those after the next one; these shares add up to 1 from the first step on, as in Adam (Kingma and
    Ba 2015, arXiv:1412.6980, section 3), so that those before it count nothing; with a ``decay`` of 1 all steps count
    alike. The statistics of batch norms are averaged like weights; what does not move, such as a frozen backbone,
    stays as it is to the last bit.

    Args:
        model: What is averaged, as it is before the first step.
        decay: How much a step counts beside the next one, in (0, 1].

    Attributes:
        model: The average.
        steps: Steps that it has seen.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN wants a layer's weights in one piece, which a copy does not keep
        self.decay = decay
        self.steps = 0
        self._pairs: list[
            tuple[Tensor, Tensor]
        ] = []  # ours and theirs, found at the first step: it takes as long as this

    def update(self, model: Model) -> None:
        """Take in the weights after a step.

        Args:
            model: The same one in all steps.
        """
        self.steps += 1
        plain = self.decay == 1
        share = 1 / self.steps if plain else (1 - self.decay) / (1 - self.decay**self.steps)  # of this step so far
        self._pairs = self._pairs or list(zip(_tensors(self.model), _tensors(model), strict=True))
        floats = [(mine, theirs) for mine, theirs in self._pairs if mine.is_floating_point()]
        average = get_ema_multi_avg_fn(1 - share)
        average([mine for mine, _ in floats], [theirs for _, theirs in floats], self.steps)
        for mine, theirs in self._pairs:
            if not mine.is_floating_point():  # a counter
                mine.copy_(theirs)

    def state(self) -> dict[str, Any]:
        """Give what changes over a run."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]

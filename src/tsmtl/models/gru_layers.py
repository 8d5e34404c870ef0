"""Stacked gated recurrent units that train fast on a CPU."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from tsmtl.models.gru_native import GRU_KERNELS, NativeGRUSteps
from tsmtl.models.gru_steps import GRUSteps, Steps
from tsmtl.models.kernels import WithKernels
from tsmtl.models.transformed import transformed


class GRULayers(WithKernels, nn.GRU):
    """``nn.GRU`` with another way through it where it trains on a CPU; see :mod:`tsmtl.models.gru_steps`.

    Parameters, their names and start, and the random numbers of dropout are those of ``nn.GRU``; outputs and gradients
    differ by rounding. The way of ``nn.GRU`` itself is taken wherever no gradient is asked for, on other devices, while
    a model is traced, compiled, exported or transformed (``torch.func``), and for what no backbone here uses: a given
    first state, no biases, time first, or an input without a batch; and for gradients of gradients.

    Under autocast on a CPU it stays in the precision of its weights, in which it is faster.

    With ``native`` kernels it takes those in train mode, in single precision.
    """

    library = GRU_KERNELS

    def forward(  # type: ignore[override]  # torch says by overloads which input gives which output
        self, input: Tensor | PackedSequence, hx: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor]:
        """Read (N, T, C), or packed series; give the states of all steps, likewise, and the last ones.

        The last states have shape (layers * directions, N, H).
        """
        data = input.data if isinstance(input, PackedSequence) else input
        if data.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self.forward(input.to(self.all_weights[0][0].dtype), hx)
        if hx is not None or not self._learns_on_the_cpu(input, data):
            found: tuple[Tensor | PackedSequence, Tensor] = super().forward(input, hx)
            return found
        if isinstance(input, PackedSequence):
            output, last = self._through(data, Steps(input.batch_sizes))
            if input.unsorted_indices is not None:
                last = last.index_select(1, input.unsorted_indices)
            return input._replace(data=output), last
        n, t, _ = input.shape
        output, last = self._through(input.transpose(0, 1).flatten(0, 1), Steps(torch.full((t,), n)))
        return output.unflatten(0, (t, n)).transpose(0, 1), last

    def _learns_on_the_cpu(self, input: Tensor | PackedSequence, data: Tensor) -> bool:
        if transformed():
            return False
        weight = self.all_weights[0][0]
        covered = self.bias and (isinstance(input, PackedSequence) or (self.batch_first and data.dim() == 3))
        fits = (
            data.shape[-1] == self.input_size and data.numel() > 0 and data.dtype == weight.dtype
        )  # else it complains
        here = data.device.type == weight.device.type == "cpu" and data.dtype in (torch.float32, torch.float64)
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (data, *self.parameters()))
        return covered and fits and here and learns

    def _through(self, packed: Tensor, steps: Steps) -> tuple[Tensor, Tensor]:
        """Read packed series (P, C); give all states (P, directions * H) and the last ones."""
        directions = 2 if self.bidirectional else 1
        apply: Callable[..., tuple[Tensor, Tensor]] = GRUSteps.apply
        if self.native and self.training and packed.dtype == torch.float32:
            apply = partial(NativeGRUSteps.apply, self.library.loaded)
        last = []
        for layer in range(self.num_layers):
            own = self.all_weights[layer * directions : (layer + 1) * directions]
            weights = [weight for direction in own for weight in direction]
            packed, of_layer = apply(packed, steps, *weights)
            last.append(of_layer)
            if layer + 1 < self.num_layers:
                packed = F.dropout(packed, self.dropout, self.training)
        return packed, torch.cat(last)

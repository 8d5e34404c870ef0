"""One-dimensional CNN backbone."""

from typing import Any

from torch import Tensor

from tsmtl.models.backbone import Backbone
from tsmtl.models.convolution import Convolution
from tsmtl.models.dropout import Dropout
from tsmtl.models.masking import BatchNorm, valid_steps
from tsmtl.models.norm_relu import norm_relu
from tsmtl.models.readout import Readout


class CNN1D(Backbone):
    """Two blocks of convolution, batch norm and ReLU; the second has twice the channels.

    Args:
        input_size: C, channels of the input series.
        seq_len: T, time steps of the (longest) input series.
        output_channels: Channels of the first convolution.
        kernel_size: Filter size of both convolutions.
        stride: Stride of both convolutions.
        padding: Zeros that both convolutions add at each end.
        dropout: Dropout probability on the embedding.
        readout: How the steps become the embedding.
    """

    capturable = True

    def __init__(
        self,
        input_size: int,
        seq_len: int,
        output_channels: int,
        kernel_size: int,
        stride: int,
        padding: int,
        dropout: float,
        readout: str,
    ) -> None:
        super().__init__()
        widths = (output_channels, 2 * output_channels)
        # No bias: the shift of the batch norm behind it does the same.
        self.conv1 = Convolution(input_size, widths[0], kernel_size, stride, padding)
        self.norm1 = BatchNorm(widths[0])
        self.conv2 = Convolution(widths[0], widths[1], kernel_size, stride, padding)
        self.norm2 = BatchNorm(widths[1])
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        steps = int(self._steps_after(self._steps_after(seq_len)))
        self.shortest = self._steps_before(self._steps_before(1))  # shorter series leave nothing behind the blocks
        self.shortest_alone = self._steps_before(self._steps_before(2))
        self.readout = Readout(readout, widths[1], steps)
        self.dropout = Dropout(dropout)
        self.embed_dim = self.readout.embed_dim
        self.takes_lengths = self.readout.takes_lengths

    def _steps_after(self, steps: Any) -> Any:  # an int, or the lengths of a batch
        return (steps + 2 * self.padding - self.kernel_size) // self.stride + 1

    def _steps_before(self, steps: int) -> int:
        return max(1, (steps - 1) * self.stride + self.kernel_size - 2 * self.padding)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed series of shape (N, C, T) as vectors of shape (N, E)."""
        valid = None
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            x = conv(x)  # (N, channels, steps)
            if lengths is not None:
                lengths = self._steps_after(lengths)
                valid = valid_steps(lengths, x)
            x = norm_relu(x, norm, valid, readout=self.readout if norm is self.norm2 else None)
        embedding: Tensor = self.dropout(x)  # (N, E)
        return embedding

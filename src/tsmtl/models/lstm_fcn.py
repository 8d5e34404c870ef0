"""LSTM-FCN backbone: convolutions and an LSTM side by side."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from tsmtl.models.backbone import Backbone
from tsmtl.models.convolution import Convolution
from tsmtl.models.dropout import Dropout
from tsmtl.models.masking import BatchNorm, valid_steps
from tsmtl.models.norm_relu import norm_relu
from tsmtl.models.one_thread import in_one_thread
from tsmtl.models.precision import recurrent_in_float32
from tsmtl.models.readout import Readout
from tsmtl.models.squeeze_excite import SqueezeExcite


class LSTMFCN(Backbone):
    """LSTM-FCN (Karim et al. 2018, arXiv:1709.05206) and, for C > 1, MLSTM-FCN (Karim et al. 2019, arXiv:1801.04503).

    Args:
        input_size: C, channels of the input series.
        seq_len: T, time steps of the (longest) input series.
        num_layers: Layers of the LSTM branch.
        lstm_drop_out: Dropout probability between the LSTM's layers and on its output.
        fc_drop_out: Dropout probability on the output of the convolution branch.
        lstm_hidden_size: Units of the LSTM branch.
        conv_channels: Channels of each convolution.
        kernel_sizes: Filter size of each convolution; its output is as long as its input.
        squeeze_excite: Put a squeeze-and-excite layer after every block but the last, where C > 1.
        dimension_shuffle: The LSTM reads the C channels as its steps, each a vector of T values; needs equal lengths.
        readout: How the steps of the convolution branch become its part of the embedding.
    """

    capturable = True
    shortest_alone = 2

    def __init__(
        self,
        input_size: int,
        seq_len: int,
        num_layers: int,
        lstm_drop_out: float,
        fc_drop_out: float,
        lstm_hidden_size: int,
        conv_channels: list[int],
        kernel_sizes: list[int],
        squeeze_excite: bool,
        dimension_shuffle: bool,
        readout: str,
    ) -> None:
        super().__init__()
        self.kernel_sizes = kernel_sizes
        widths = [input_size, *conv_channels]
        # No bias: the shift of the batch norm behind it does the same.
        self.convs = nn.ModuleList(
            Convolution(before, after, kernel, padding=(kernel - 1) // 2)
            for before, after, kernel in zip(widths, conv_channels, kernel_sizes, strict=False)
        )
        self.norms = nn.ModuleList(BatchNorm(width) for width in conv_channels)
        excited = conv_channels[:-1] if squeeze_excite and input_size > 1 else []
        self.excites = nn.ModuleList(SqueezeExcite(width) for width in excited)
        self.readout = Readout(readout, conv_channels[-1], seq_len)
        self.fc_dropout = Dropout(fc_drop_out)
        self.dimension_shuffle = dimension_shuffle
        between = lstm_drop_out if num_layers > 1 else 0.0  # torch warns of a dropout that has no layers to go between
        features = seq_len if dimension_shuffle else input_size
        self.lstm = nn.LSTM(features, lstm_hidden_size, num_layers, batch_first=True, dropout=between)
        self.lstm_dropout = Dropout(lstm_drop_out)
        self.embed_dim = lstm_hidden_size + self.readout.embed_dim
        self.takes_lengths = self.readout.takes_lengths and not dimension_shuffle

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed series of shape (N, C, T) as vectors of shape (N, E)."""
        valid = None if lengths is None else valid_steps(lengths, x)

        def last_state(x: Tensor) -> Tensor:
            steps = x if self.dimension_shuffle else x.transpose(1, 2)  # (N, C, T) or (N, T, C)
            packed = None if lengths is None else pack_padded_sequence(steps, lengths, True, enforce_sorted=False)
            with recurrent_in_float32(x):
                _, (h_n, _) = self.lstm(steps if packed is None else packed)  # (layers, N, hidden)
            state: Tensor = h_n[-1]
            return state  # (N, hidden)

        last_of_lstm = in_one_thread(last_state, x, self.lstm)
        maps, last = x, len(self.convs) - 1
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            if self.kernel_sizes[i] % 2 == 0:
                maps = F.pad(maps, (0, 1))  # an even filter needs one more zero at the end to keep T
            excite = self.excites[i] if i < len(self.excites) else None
            readout = self.readout if i == last else None
            maps = norm_relu(conv(maps), norm, valid, excite, readout)  # (N, channels, T), at last (N, channels)
        return torch.cat([self.lstm_dropout(last_of_lstm), self.fc_dropout(maps)], dim=1)

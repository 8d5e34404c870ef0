"""What the lstm and gru backbones share: stacked recurrent layers and a readout."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tsmtl.models.backbone import Backbone
from tsmtl.models.masking import valid_steps
from tsmtl.models.precision import recurrent_in_float32
from tsmtl.models.readout import Readout


class Recurrent(Backbone):
    """Stacked recurrent layers read along time.

    Args:
        input_size: C, channels of the input series.
        seq_len: T, time steps of the (longest) input series.
        hidden_size: Units per layer and direction.
        num_layers: Number of stacked layers.
        dropout: Dropout probability between layers and on the embedding.
        bidirectional: Read the series both ways; doubles the embedding.
        readout: How the steps become the embedding; ``last`` is the final hidden state of each direction.
    """

    layer: type[nn.LSTM] | type[nn.GRU]
    capturable = True

    def __init__(
        self,
        input_size: int,
        seq_len: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        bidirectional: bool,
        readout: str,
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0  # torch warns of a dropout that has no layers to go between
        self.rnn = self.layer(
            input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional
        )
        self.directions = 2 if bidirectional else 1
        features = self.directions * hidden_size
        self.readout = None if readout == "last" else Readout(readout, features, seq_len)
        self.dropout = nn.Dropout(dropout)
        self.embed_dim = features if self.readout is None else self.readout.embed_dim
        self.takes_lengths = self.readout is None or self.readout.takes_lengths

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed series of shape (N, C, T) as vectors of shape (N, E)."""
        sequence = x.transpose(1, 2)  # (N, T, C)
        with recurrent_in_float32(x):
            if lengths is None:
                steps, final = self.rnn(sequence)  # (N, T, directions * hidden), (layers * directions, N, hidden)
            else:
                packed = pack_padded_sequence(sequence, lengths, batch_first=True, enforce_sorted=False)
                packed, final = self.rnn(packed)
                steps = None if self.readout is None else pad_packed_sequence(packed, True, 0.0, x.shape[2])[0]
        if self.readout is None:
            h_n = final[0] if isinstance(final, tuple) else final  # an LSTM gives its cell state too
            embedding: Tensor = torch.cat(tuple(h_n[-self.directions :]), dim=1)  # (N, E)
        else:
            valid = None if lengths is None else valid_steps(lengths, x)
            embedding = self.readout(steps.transpose(1, 2), valid)
        embedding = self.dropout(embedding)
        return embedding

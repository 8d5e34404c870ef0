"""LSTM backbone."""

from torch import nn

from tsmtl.models.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); arguments as :class:`Recurrent`."""

    layer = nn.LSTM

"""GRU backbone."""

from torch import nn

from tsmtl.models.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078); arguments as :class:`Recurrent`."""

    layer = nn.GRU

"""GRU backbone."""

from tsmtl.models.gru_layers import GRULayers
from tsmtl.models.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078); arguments as :class:`Recurrent`."""

    layer = GRULayers
    gains_by_bf16 = False  # autocast would round and cast at each step of each layer

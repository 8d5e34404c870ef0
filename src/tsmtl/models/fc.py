"""Fully connected backbone for representation vectors."""

from torch import Tensor, nn

from tsmtl.models.backbone import Backbone


class FC(Backbone):
    """Linear layers with ReLU and dropout.

    Args:
        input_size: Size of the input vectors (the specification's embedding_dim).
        hidden_sizes: Units of each layer; without any the heads read the vectors themselves.
        dropout: Dropout probability after every layer; without layers, on the vectors.
        bias: Use a bias in every layer.
    """

    reads = "vectors"
    capturable = True

    def __init__(self, input_size: int, hidden_sizes: list[int], dropout: float, bias: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = input_size
        for width in hidden_sizes:
            layers += [nn.Linear(size, width, bias=bias), nn.ReLU(), nn.Dropout(dropout)]
            size = width
        self.layers = nn.Sequential(*(layers or [nn.Dropout(dropout)]))
        self.embed_dim = size

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed vectors of shape (N, input_size) as vectors of shape (N, E)."""
        embedding: Tensor = self.layers(x)
        return embedding

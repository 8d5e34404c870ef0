"""Self-attention over the steps of a series."""

from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762, section 3.2).

    Args:
        heads: H.
        head_size: Features of each; D is H * head_size.
        dropout: Of the attention weights of a training.
    """

    def __init__(self, heads: int, head_size: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.read = nn.Linear(heads * head_size, 3 * heads * head_size)
        self.write = nn.Linear(heads * head_size, heads * head_size)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Map (N, T, D); what ``valid`` (N, T) does not mark is not looked at."""
        n, steps, _ = x.shape
        query, key, value = self.read(x).view(n, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (N, H, T, size)
        mask = None if valid is None else valid[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(query, key, value, mask, dropout)
        written: Tensor = self.write(found.transpose(1, 2).reshape(n, steps, -1))
        return written


def feed_forward(size: int, inner: int, activation: nn.Module, dropout: float) -> nn.Module:
    """Make the two layers that work at each step by itself."""
    return nn.Sequential(nn.Linear(size, inner), activation, nn.Dropout(dropout), nn.Linear(inner, size))

"""What a backbone is."""

from typing import Literal

from torch import Tensor, nn


class Backbone(nn.Module):
    """Turns series (N, C, T), or vectors (N, E), into embeddings; knows no task.

    A constructor takes ``input_size`` (C), ``seq_len`` (T) if it needs it, and the settings of its model file by name.

    Attributes:
        embed_dim: E, the size of the embedding; set by the constructor.
        reads: What ``forward`` takes: ``series`` or ``vectors``.
        takes_lengths: Whether ``forward`` honours lengths: padding then changes no embedding.
        shortest: Fewest time steps that ``forward`` can read.
        gains_by_bf16: Whether ``trainer.precision=bf16`` has it train in bfloat16; False where that is slower.
    """

    embed_dim: int
    reads: Literal["series", "vectors"] = "series"
    takes_lengths: bool = False
    shortest: int = 1
    gains_by_bf16: bool = True

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed a batch.

        Args:
            x: (N, C, T) series, zeros behind the shorter ones, or (N, E) vectors.
            lengths: (N,) valid steps on the CPU, or None where all are valid; None unless ``takes_lengths``.

        Returns:
            (N, embed_dim).
        """
        raise NotImplementedError

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
        shortest_alone: Fewest time steps of a series that is a training batch by itself; batch norm needs two.
        gains_by_bf16: Whether ``trainer.precision=bf16`` has it train in bfloat16 on a CPU; False where that is slower.
        capturable: Whether steps on it may be recorded as a CUDA graph (``trainer.cuda_graph``): ``forward`` does the
            same operations for every batch of a shape, asks for no value of a tensor, draws from torch's own random
            numbers on the device alone, and keeps nothing but in buffers that it changes in place.
    """

    embed_dim: int
    reads: Literal["series", "vectors"] = "series"
    takes_lengths: bool = False
    shortest: int = 1
    shortest_alone: int = 1
    gains_by_bf16: bool = True
    capturable: bool = False

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embed a batch.

        Args:
            x: (N, C, T) series, zeros behind the shorter ones, or (N, E) vectors.
            lengths: (N,) valid steps on the CPU, or None where all are valid; None unless ``takes_lengths``.

        Returns:
            (N, embed_dim).
        """
        raise NotImplementedError

"""A backbone with one head per task."""

from torch import Tensor, nn

from tsmtl.models.backbone import Backbone
from tsmtl.models.joint_heads import read_jointly, worth_joining
from tsmtl.models.precision import embed_in_bf16


class MultiTaskModel(nn.Module):
    """One backbone, one linear head per task.

    Args:
        backbone: Gives embeddings (N, E).
        outputs: Size of each task's output: K logits of a classification, D numbers of a regression.
        head_bias: Use a bias in the heads.
        bf16: Let the backbone train in bfloat16; in eval mode, as a frozen one is too, it computes in float32.

    Attributes:
        frozen: Whether the backbone stays as it is; see :meth:`freeze_backbone`.
        reads_embeddings: Whether ``forward`` takes embeddings that the frozen backbone has made before.
    """

    def __init__(self, backbone: Backbone, outputs: dict[str, int], head_bias: bool = True, bf16: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.bf16 = bf16
        self.frozen = False
        self.reads_embeddings = False
        self.heads = nn.ModuleDict(
            {task: nn.Linear(backbone.embed_dim, size, bias=head_bias) for task, size in outputs.items()}
        )

    def freeze_backbone(self, frozen: bool = True) -> None:
        """Leave the backbone as it is: no gradient, no weight decay, no batch-norm update, no dropout in it.

        Args:
            frozen: False lets it learn again.
        """
        self.frozen = frozen
        self.backbone.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "MultiTaskModel":
        """Set train or eval mode; a frozen backbone stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Map series (N, C, T), or vectors (N, E), to ``{task: (N, K) or (N, D)}``."""
        if self.reads_embeddings:
            pass
        elif self.bf16 and self.backbone.training:
            x = embed_in_bf16(self.backbone, x, lengths)  # (N, E)
        else:
            x = self.backbone(x) if lengths is None else self.backbone(x, lengths)  # (N, E)
        if worth_joining(self.heads, x):
            return read_jointly(self.heads, x)
        return {task: head(x) for task, head in self.heads.items()}

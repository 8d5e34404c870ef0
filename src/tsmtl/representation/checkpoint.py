"""The embedding of a trained model."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from tsmtl.data.contract import InputContract
from tsmtl.data.instances import FloatArray, IntArray
from tsmtl.representation.method import Representation, TrainSeries


class Embedder(Protocol):
    """A trained model."""

    @property
    def contract(self) -> InputContract:
        """What it reads."""

    @property
    def embed_dim(self) -> int:
        """E."""

    def embed_checked(self, x: FloatArray, lengths: IntArray | None) -> FloatArray:
        """Give the embeddings (N, E) of raw series (N, C, T) that the contract has checked."""


class Checkpoint(Representation):
    """What the heads of a trained model read: the embedding of its backbone; nothing is learnt anew.

    The model's own filling and scaling come before it. :meth:`load_state` gives it the checkpoint, the content of its
    file, so that the fitted transform needs no other.

    Args:
        open_model: Makes a model of what a checkpoint holds.
    """

    takes_raw: ClassVar[bool] = True
    of_gaps: ClassVar[str] = "filled as in the model's training"

    def __init__(self, open_model: Callable[[dict[str, Any]], Embedder]) -> None:
        self._open = open_model
        self._content: dict[str, Any] = {}
        self._model: Embedder | None = None

    @property
    def model(self) -> Embedder:
        """The model."""
        assert self._model is not None, "no checkpoint"
        return self._model

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Learn nothing."""

    @property
    def names(self) -> list[str]:
        """Numbered."""
        return [f"embedding{i + 1}" for i in range(self.model.embed_dim)]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the embeddings (N, E) of raw series (N, C, T)."""
        return self.model.embed_checked(x, None)

    def state(self) -> dict[str, Any]:
        """Give the checkpoint."""
        return {"checkpoint": self._content}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the checkpoint."""
        self._content = state["checkpoint"]
        self._model = self._open(self._content)

"""Multi-task learning on time series: one backbone, a classification head and a regression head."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsmtl.predictor import load_model

__all__ = ["__version__", "load_model"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_model":  # on demand: it imports torch, which the commands do without until settings passed
        from tsmtl.predictor import load_model

        return load_model
    raise AttributeError(f"module 'tsmtl' has no attribute {name!r}")

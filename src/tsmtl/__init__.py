"""Multi-task learning on time series: one backbone, a classification head and a regression head."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsmtl.predictor import load_model
    from tsmtl.train import train

__all__ = ["__version__", "load_model", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # On demand: they import torch, or Hydra, which the commands do without until settings passed.
    if name == "load_model":
        from tsmtl.predictor import load_model

        return load_model
    if name == "train":
        import importlib

        return importlib.import_module("tsmtl.train")  # callable, as the function in it
    raise AttributeError(f"module 'tsmtl' has no attribute {name!r}")

"""Multi-task learning on time series: one backbone, a classification head and a regression head."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsmtl.predictor import Predictor, load_model
    from tsmtl.run import TrainingResult
    from tsmtl.train import train
    from tsmtl.transform import Transform, load_transform

__all__ = ["Predictor", "TrainingResult", "Transform", "__version__", "load_model", "load_transform", "train"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # On demand: they import torch, or Hydra, which the commands do without until settings passed.
    if name not in _MODULES:
        raise AttributeError(f"module 'tsmtl' has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    return module if name == "train" else getattr(module, name)  # that module is callable, as the function in it


_MODULES = {
    "Predictor": "tsmtl.predictor",
    "load_model": "tsmtl.predictor",
    "TrainingResult": "tsmtl.run",
    "train": "tsmtl.train",
    "Transform": "tsmtl.transform",
    "load_transform": "tsmtl.transform",
}

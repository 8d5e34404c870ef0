"""What models that others have pretrained have in common: a folder of weights, and one channel at a time."""

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray
from tsmtl.models.precision import float32_products
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.storage.run_folder import sha256_of

CONFIG = "config.json"
WEIGHTS = ".safetensors"  # no pickle is ever read: one could run code
BATCH = 64  # channels at a time
_OF_A_WRONG_FOLDER = (
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class Pretrained(Representation):
    """The embedding of each channel by itself, in a model whose weights the user brings; nothing is learnt.

    Nothing is downloaded. What was fitted keeps the folder and the SHA-256 of its files, not the files: they are fixed,
    30 MB to some GB, and one has them once. Vectors are the same to rounding whatever series stand beside them.

    Args:
        path: The folder: ``config.json`` and ``*.safetensors``, as the library's own ``save_pretrained`` writes them.
        device: Where it runs.

    Attributes:
        module: What to import of the library.
        package: What to install.
        install: With which command.
        width: Features of a channel, once the model is open.

    Raises:
        UserError: If the library is not installed.
    """

    module: ClassVar[str]
    package: ClassVar[str]
    install: ClassVar[str]
    width: int

    def __init__(self, path: str, device: torch.device) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read by the hub's client when it is imported
        try:
            self._library: Any = import_module(self.module)
        except ImportError as error:
            raise UserError(f"representation: {self.name} needs {self.package}: {self.install}") from error
        self.folder, self.device = Path(path).expanduser().absolute(), device
        self._channels: list[str] = []
        self._sha256 = ""

    @property
    def name(self) -> str:
        """The word of the setting."""
        return type(self).__name__.lower()

    @abstractmethod
    def open_model(self, config: dict[str, Any], weights: list[Path]) -> int:
        """Open the model; give the features of a channel.

        Args:
            config: Of ``config.json``.
            weights: The files of weights.

        Raises:
            UserError: If it is a model that has no embedding.
        """

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Give the embeddings (n, width) of channels (n, T) on the device."""

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Take the channels' names, and open the model."""
        self._channels = train.channels
        self._open(None)

    @property
    def names(self) -> list[str]:
        """The channel and a number."""
        return [f"{channel} {self.name}{i + 1}" for channel in self._channels for i in range(self.width)]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the embeddings (N, C * width) of series (N, C, T)."""
        channels = torch.from_numpy(np.ascontiguousarray(x)).flatten(0, 1)  # (N * C, T)
        with torch.inference_mode(), float32_products(self.device):
            found = [self.embed(part.to(self.device)).float().cpu() for part in channels.split(BATCH)]
        return torch.cat(found).reshape(len(x), -1).numpy()

    def state(self) -> dict[str, Any]:
        """Give the folder, the digest of its files, and the channels' names."""
        return {"folder": str(self.folder), "sha256": self._sha256, "channels": self._channels}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the channels' names, and open the model in the folder that the constructor was given.

        Raises:
            UserError: If its files are not those that :meth:`state` was made with.
        """
        self._channels = state["channels"]
        self._open(state["sha256"])

    def _open(self, sha256: str | None) -> None:
        setting = "representation.path" if sha256 is None else "weights"
        weights = sorted(self.folder.glob(f"*{WEIGHTS}"))
        if not weights or not (self.folder / CONFIG).is_file():
            raise UserError(
                f"{setting}: {self.folder} must be a folder with {CONFIG} and *{WEIGHTS} of a {self.name} model; "
                "nothing is downloaded"
            )
        self._sha256 = digest_of([self.folder / CONFIG, *weights])
        if sha256 not in (None, self._sha256):
            raise UserError(f"{setting}: {self.folder} holds other weights than those of the fitted transform")
        try:
            self.width = self.open_model(_read_config(self.folder / CONFIG), weights)
        except UserError:
            raise
        except (*_OF_A_WRONG_FOLDER, import_module("safetensors").SafetensorError) as error:
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"{setting}: {self.folder} holds no model that {self.package} opens ({said})") from error


def digest_of(files: Iterable[Path]) -> str:
    """Give one SHA-256 of the names and contents of files."""
    return hashlib.sha256("".join(f"{file.name} {sha256_of(file)}\n" for file in files).encode()).hexdigest()


def load_weights(model: torch.nn.Module, weights: Iterable[Path]) -> None:
    """Give a model all of its weights.

    Raises:
        RuntimeError: If some are missing, of another shape, or not its own.
    """
    read = import_module("safetensors.torch").load_file  # safetensors comes with each of the libraries
    model.load_state_dict({name: tensor for file in weights for name, tensor in read(file).items()}, strict=True)


def names_of(weights: Iterable[Path]) -> set[str]:
    """Give the names of the tensors in files."""
    found: set[str] = set()
    for file in weights:
        with import_module("safetensors").safe_open(file, "pt") as tensors:
            found |= set(tensors.keys())
    return found


def resized(x: Tensor, steps: int) -> Tensor:
    """Stretch or shrink series (n, T) to (n, steps), linearly."""
    return x if x.shape[1] == steps else interpolate(x[:, None], size=steps, mode="linear", align_corners=False)[:, 0]


def _read_config(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no settings")
    return content

"""``trainer.kernels``: which layers train through native kernels.

They serve training steps alone. What is measured or predicted takes torch's way, so that every way to a model's numbers
gives the same, with or without a compiler.
"""

from typing import ClassVar, Literal

from torch import nn

from tsmtl.native import Library, NativeError


class WithKernels:
    """What a layer inherits beside ``nn.Module`` that has native kernels for its training steps on a CPU.

    Attributes:
        library: The kernels.
        native: Whether training steps take them; :func:`train_natively` sets it.
    """

    library: ClassVar[Library]
    native: bool = False


def train_natively(model: nn.Module) -> None:
    """Let every layer that has native kernels train through them.

    Raises:
        NativeError: If no layer has any, or those of one cannot be had here; all then train as before.
    """
    layers = [module for module in model.modules() if isinstance(module, WithKernels)]
    if not layers:
        raise NativeError("no layer of this model has native kernels")
    for layer in layers:
        _ = layer.library.loaded
    for layer in layers:
        layer.native = True


def kernels_of(model: nn.Module) -> Literal["torch", "native"]:
    """Say through which kernels a model trains."""
    native = any(isinstance(module, WithKernels) and module.native for module in model.modules())
    return "native" if native else "torch"

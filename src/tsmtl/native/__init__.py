"""Small C++ kernels: compiled on first use by the user's compiler for this processor, called through ctypes."""

from tsmtl.native.build import NativeError
from tsmtl.native.library import Library

__all__ = ["Library", "NativeError"]

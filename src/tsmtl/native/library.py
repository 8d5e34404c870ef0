"""Kernels in this process: loaded and checked where they are first asked for."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from tsmtl.native.build import NativeError, built, kept
from tsmtl.native.denormals import denormals_are_zeros

Arguments = Sequence[type[Any]]  # of ctypes


class Library:
    """The kernels of one source file.

    Arrays go in as addresses, ``tensor.data_ptr()``, for arguments of type ``ctypes.c_void_p``: contiguous, of the type
    that the source says, and alive until the call returns. A call holds no lock of Python's.

    Args:
        name: Of ``NAME.cpp`` in this folder.
        functions: By the name of each function the types of its arguments. Functions give nothing; what they find they
            write where an argument says.
        check: Solves a small problem both ways, by these kernels and by torch; is given the loaded library and says
            where numbers differ, or gives None. What it draws from torch's generator leaves that as it was.
    """

    def __init__(
        self, name: str, functions: Mapping[str, Arguments], check: Callable[[ctypes.CDLL], str | None]
    ) -> None:
        self.name = name
        self._functions = functions
        self._check = check
        self._found: ctypes.CDLL | NativeError | None = None
        self._kept: bool | None = None

    @property
    def at_hand(self) -> bool:
        """Whether :attr:`loaded` need not compile: it is loaded, or was in the cache when this was first asked."""
        if self._found is not None:
            return isinstance(self._found, ctypes.CDLL)
        if self._kept is None:
            try:
                self._kept = kept(self.name)
            except NativeError:
                self._kept = False
        return self._kept

    @property
    def loaded(self) -> ctypes.CDLL:
        """The library, whose functions are its attributes; compiled, loaded and checked once in a process.

        Raises:
            NativeError: If it cannot be had here; again whenever it is asked for.
        """
        if self._found is None:
            try:
                self._found = self._load()
            except NativeError as error:
                self._found = error
        if isinstance(self._found, NativeError):
            raise self._found
        return self._found

    def _load(self) -> ctypes.CDLL:
        path = built(self.name)
        before = denormals_are_zeros()
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise NativeError(f"{path} cannot be loaded ({why}); XDG_CACHE_HOME names another folder") from error
        if denormals_are_zeros() and not before:  # by flags within CXX, or a compiler that is set up so
            torch.set_flush_denormal(False)
            raise NativeError(f"{path} changes how this process rounds; CXX needs a compiler without -ffast-math")
        for name, arguments in self._functions.items():
            function = getattr(library, name, None)
            if function is None:
                raise NativeError(f"{path} lacks the function {name}; another compiler may do, named by CXX")
            function.argtypes, function.restype = list(arguments), None
        with torch.random.fork_rng(devices=[]):  # the numbers of a run do not depend on whether it loads
            wrong = self._check(library)
        if wrong is not None:
            raise NativeError(f"{path} gives other numbers than torch ({wrong}); another compiler may do, named by CXX")
        return library

"""Native kernels, one of which gives other numbers: what a check of them must find."""

import functools
from collections.abc import Callable
from typing import Any


class Damaged:
    """Stands in for a library.

    Args:
        kernels: The library as it is.
        name: Its function that does something else.
        instead: Called in its place, with the right function and what that one is given.
    """

    def __init__(self, kernels: Any, name: str, instead: Callable[..., None]) -> None:
        self._kernels, self._name, self._instead = kernels, name, instead

    def __getattr__(self, name: str) -> Any:
        right = getattr(self._kernels, name)
        return functools.partial(self._instead, right) if name == self._name else right

"""Names of representations that need nothing but their settings."""

from tsmtl.representation.catch22 import Catch22
from tsmtl.representation.method import Representation
from tsmtl.representation.minirocket import MiniRocket
from tsmtl.representation.multirocket import MultiRocket
from tsmtl.representation.summary import Summary

METHODS: dict[str, type[Representation]] = {
    "summary": Summary,
    "minirocket": MiniRocket,
    "multirocket": MultiRocket,
    "catch22": Catch22,
}

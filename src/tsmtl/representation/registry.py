"""Names of representations: those that need nothing but their settings, and those that others have pretrained."""

from tsmtl.representation.catch22 import Catch22
from tsmtl.representation.chronos import Chronos
from tsmtl.representation.mantis import Mantis
from tsmtl.representation.method import Representation
from tsmtl.representation.minirocket import MiniRocket
from tsmtl.representation.moment import Moment
from tsmtl.representation.multirocket import MultiRocket
from tsmtl.representation.pretrained import Pretrained
from tsmtl.representation.summary import Summary

METHODS: dict[str, type[Representation]] = {
    "summary": Summary,
    "minirocket": MiniRocket,
    "multirocket": MultiRocket,
    "catch22": Catch22,
}

PRETRAINED: dict[str, type[Pretrained]] = {"mantis": Mantis, "moment": Moment, "chronos": Chronos}

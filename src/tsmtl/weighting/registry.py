"""Methods by name."""

from collections.abc import Sequence

import torch

from tsmtl.config.weighting_settings import AnyWeighting, UncertaintySettings
from tsmtl.weighting.aligned import Aligned
from tsmtl.weighting.bisector import Bisector
from tsmtl.weighting.cagrad import CAGrad
from tsmtl.weighting.dbmtl import DBMTL
from tsmtl.weighting.dwa import DWA
from tsmtl.weighting.famo import FAMO
from tsmtl.weighting.geometric import Geometric
from tsmtl.weighting.gradnorm import GradNorm
from tsmtl.weighting.method import GradientWeighting, LossWeighting
from tsmtl.weighting.mgda import MGDA
from tsmtl.weighting.pcgrad import PCGrad
from tsmtl.weighting.rlw import RLW
from tsmtl.weighting.uncertainty import Uncertainty

METHODS: dict[str, type[LossWeighting | GradientWeighting]] = {
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "rlw": RLW,
    "geometric": Geometric,
    "famo": FAMO,
    "gradnorm": GradNorm,
    "dbmtl": DBMTL,
    "pcgrad": PCGrad,
    "bisector": Bisector,
    "mgda": MGDA,
    "cagrad": CAGrad,
    "aligned": Aligned,
}  # weighting=fixed is the Criterion's own sum
LIKELIHOOD = {"cls": 1.0, "reg": 0.5, "multilabel": 1.0}  # factor on a task's loss by its kind, for uncertainty


def build_weighting(
    settings: AnyWeighting, kinds: Sequence[str], lr: float, device: torch.device
) -> LossWeighting | GradientWeighting | None:
    """Build a method; None for ``weighting=fixed``, which needs none.

    Args:
        settings: The section ``weighting``.
        kinds: Kind of each task, ``cls``, ``reg`` or ``multilabel``.
        lr: Learning rate of the network.
        device: Where the losses are.
    """
    if settings.name == "fixed":
        return None
    own = settings.model_dump(exclude={"name"})
    if isinstance(settings, UncertaintySettings):
        own["factors"] = [LIKELIHOOD[kind] for kind in kinds]
        own["lr"] = lr if settings.lr is None else settings.lr
    return METHODS[settings.name](len(kinds), device, **own)

"""What the data of a comparison say before anything is trained: whether it can judge, and whether the settings fit."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tsmtl.comparison.bootstrap import LEAST_UNITS
from tsmtl.config.schema import Settings
from tsmtl.data.instances import Bundle, ClassTarget


def units_of_test(bundle: Bundle) -> npt.NDArray[Any] | None:
    """Give what test instances (N,) have in common: their group, or the entity that they are windows of; or None."""
    instances = bundle.instances
    if instances.groups is None:
        return instances.places.get("entity")
    return instances.groups[bundle.splits["test"]]


def why_nothing_can_be_told(bundle: Bundle) -> str | None:
    """Say why no verdict will be possible, however many seeds, and what would help; None where one is."""
    units = units_of_test(bundle)
    n = len(bundle.splits["test"]) if units is None else len(np.unique(units))
    if n >= LEAST_UNITS:
        return None
    one, several = ("instance", "instances") if units is None else ("group", "groups")
    more = "give it more, by a greater data.test_fraction or more data"
    if "entity" in bundle.instances.places:
        one, several = "entity", "entities"
        if bundle.instances.facts["rule"].startswith("time"):
            more = (
                "windows of one entity are not independent of each other; record more entities (data.entity), and best "
                "split by them (data.split=group)"
            )
    return (
        f"the test split has {n} {one if n == 1 else several}, and chance is judged by {LEAST_UNITS} or more: every "
        f"verdict will be 'cannot tell', at any number of seeds; {more}"
    )


def unfit_class_weights(training: Settings, bundle: Bundle) -> list[str]:
    """Say which tasks a list of ``trainer.class_weights`` does not fit."""
    weights = training.trainer.class_weights
    return [
        f"trainer.class_weights: must be one weight per class (got {len(weights)} for the {target.size} of {task})"
        for task, target in bundle.instances.targets.items()
        if isinstance(weights, list) and isinstance(target, ClassTarget) and target.size != len(weights)
    ]

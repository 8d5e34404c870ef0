"""The calibration of a run: fitted on val, told of, and measured on test."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tsmtl.assembly import Parts, truth_of
from tsmtl.tasks.calibration import KINDS, LEVEL, LEVELS, coverage, effect_on_classes, fit_calibration
from tsmtl.tasks.conformal import Errors, least_labelled
from tsmtl.tasks.task import Calibration, FloatArray, Prediction, Task
from tsmtl.tasks.temperature import Temperature
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.ranks import Ranks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """A split as the model sees it, by task: its outputs, (N, K) logits or (N, D) scaled numbers, and what is true."""

    outputs: dict[str, FloatArray]
    truth: dict[str, npt.NDArray[Any]]


def seen_on(parts: Parts, split: str, ranks: Ranks) -> Seen:
    """Give what the model makes of a split, and what is true of it."""
    outputs = outputs_of(parts.model, parts.splits[split], ranks=ranks)
    return Seen({name: output.cpu().numpy() for name, output in outputs.items()}, truth_of(parts.bundle, split))


def fit_on(val: Seen, tasks: Mapping[str, Task]) -> dict[str, Calibration]:
    """Fit on the val split the calibration of each task of a kind that has one: labels have none."""
    return {
        name: fit_calibration(task, val.outputs[name], val.truth[name])
        for name, task in tasks.items()
        if task.kind in KINDS
    }


def states_of(calibration: Mapping[str, Calibration]) -> dict[str, dict[str, Any]]:
    """Give by task what a checkpoint holds."""
    return {name: fitted.state() for name, fitted in calibration.items()}


def decoded(
    seen: Seen, tasks: Mapping[str, Task], calibration: Mapping[str, Calibration], level: float | None = None
) -> dict[str, Prediction]:
    """Give the predictions by task, with intervals of a level where the task has errors to make them from."""
    return {name: task.decode(seen.outputs[name], calibration.get(name), level) for name, task in tasks.items()}


def about_calibration(
    tasks: Mapping[str, Task], calibration: Mapping[str, Calibration], val: Seen, test: Seen
) -> dict[str, dict[str, Any]]:
    """Give what was fitted, and what came of it, by task.

    Returns:
        Of a classification ``temperature``, ``labelled`` (val instances that it was fitted on), ``note`` (why it is 1,
        if it was not fitted), ``val`` and ``test``: ``ece`` and ``log_loss``, each before and after. Of numbers
        ``labelled`` (D counts), and ``test``: coverage and width of the intervals by level.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, fitted in calibration.items():
        task = tasks[name]
        if isinstance(fitted, Temperature):
            found[name] = fitted.state()
            for split, seen in (("val", val), ("test", test)):
                both = (task.decode(seen.outputs[name], how) for how in (None, fitted))
                found[name][split] = effect_on_classes(seen.truth[name], *both)
        else:
            by_level = {
                str(level): coverage(task, test.truth[name], task.decode(test.outputs[name], fitted, level))
                for level in LEVELS
            }
            found[name] = {"labelled": list(fitted.labelled), "test": by_level}
    return found


def say_calibration(tasks: Mapping[str, Task], about: Mapping[str, Mapping[str, Any]]) -> None:
    """Log a line for each task, of what :func:`about_calibration` gave."""
    for name, found in about.items():
        log.info("calibrated on val: %s (%s) %s", name, tasks[name].key, _said(tasks[name], found))


def _said(task: Task, about: Mapping[str, Any]) -> str:
    test = about["test"]
    if "temperature" in about:
        said = f"temperature {about['temperature']:.3g}"
        if about["note"] is not None:
            return f"{said} ({about['note']})"
        return f"{said}, test ece {test['ece']['before']:.4f} -> {test['ece']['after']:.4f}"
    if min(about["labelled"]) < least_labelled(LEVEL):
        return f"intervals at level {LEVEL:g} have no ends: {_too_few(min(about['labelled']), LEVEL)}"
    return f"test intervals {intervals_said(task, test[str(LEVEL)], LEVEL)}"


def intervals_said(task: Task, found: Mapping[str, Any], level: float) -> str:
    """Say what :func:`tsmtl.tasks.calibration.coverage` found."""
    share = found.get("coverage_capped", found["coverage"])
    unit = f" {task.unit}" if task.unit else ""
    return f"at level {level:g} hold {share:.3f}, mean width {found['width']:.4g}{unit}"


def _too_few(labelled: int, level: float) -> str:
    """Say that intervals of a level take more labelled val instances than there were."""
    return f"{labelled} labelled val instances, {least_labelled(level)} are needed"


def warn_of_no_ends(tasks: Mapping[str, Task], calibration: Mapping[str, Calibration], level: float | None) -> None:
    """Warn of tasks whose intervals of a level are infinite; said when the work is done, not beside a refusal."""
    if level is None:
        return
    for name, task in tasks.items():
        fitted = calibration.get(name)
        if isinstance(fitted, Errors) and min(fitted.labelled) < least_labelled(level):
            log.warning(
                "level: intervals of %s (%s) have no ends: %s", *(name, task.key), _too_few(min(fitted.labelled), level)
            )

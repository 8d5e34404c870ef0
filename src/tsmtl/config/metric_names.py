"""Names of the metrics and which way is better; ``tsmtl.tasks.metrics`` computes them."""

from collections.abc import Iterable

CLASSIFICATION: dict[str, bool] = {  # True: higher is better
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "auroc": True,
    "log_loss": False,
    "ece": False,
}
MULTILABEL: dict[str, bool] = {
    "micro_f1": True,
    "macro_f1": True,
    "auroc": True,
    "subset_accuracy": True,
    "log_loss": False,
}
REGRESSION: dict[str, bool] = {"rmse": False, "mae": False, "r2": True}
CAPPED = {f"{name}_capped": higher for name, higher in REGRESSION.items()}  # against the truth as it is trained on
ON_REQUEST: dict[str, bool] = {"phm08": False}

JOINT = "val/joint"  # see tsmtl.tasks.joint
PERFECT: dict[str, float] = {  # value of a perfect prediction, for the metrics that the joint score may be made of
    **dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "subset_accuracy"), 1.0),
    **dict.fromkeys(("rmse", "mae", "rmse_capped", "mae_capped"), 0.0),
}


def metrics_of_numbers(capped: bool, more: Iterable[str]) -> dict[str, bool]:
    """Map the metrics of a regression to whether higher is better.

    Args:
        capped: Whether ``data.clip_target`` is given.
        more: ``data.regression_metrics``.
    """
    return REGRESSION | (CAPPED if capped else {}) | {name: ON_REQUEST[name] for name in more}


def monitor_choices(tasks: dict[str, str], numbers: dict[str, bool]) -> dict[str, bool]:
    """Map every value that ``trainer.monitor`` may take to whether higher is better.

    Args:
        tasks: Kind (``cls``, ``reg`` or ``multilabel``) by task name.
        numbers: What :func:`metrics_of_numbers` gave.
    """
    choices = {"val/loss": False, JOINT: True}
    of_kind = {"cls": CLASSIFICATION, "reg": numbers, "multilabel": MULTILABEL}
    for name, kind in tasks.items():
        choices[f"val/{name}/loss"] = False
        for metric, higher in of_kind[kind].items():
            choices[f"val/{name}/{metric}"] = higher
    return choices

"""Names of the metrics and which way is better; ``tsmtl.tasks.metrics`` computes them."""

CLASSIFICATION: dict[str, bool] = {  # True: higher is better
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "auroc": True,
    "log_loss": False,
    "ece": False,
}
REGRESSION: dict[str, bool] = {"rmse": False, "mae": False, "r2": True}


def monitor_choices(tasks: dict[str, str]) -> dict[str, bool]:
    """Map every value that ``trainer.monitor`` may take to whether higher is better.

    Args:
        tasks: Kind (``cls`` or ``reg``) by task name.
    """
    choices = {"val/loss": False}
    for name, kind in tasks.items():
        choices[f"val/{name}/loss"] = False
        for metric, higher in (CLASSIFICATION if kind == "cls" else REGRESSION).items():
            choices[f"val/{name}/{metric}"] = higher
    return choices

"""The trackers by name; a package is imported when its tracker is made."""

import os
import sys
from collections.abc import Callable

from tsmtl.tracking.tracker import Tracker

# Of a process that does not use MLflow beside tsmtl; what the user has set stays.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # 7 by default, for minutes; tsmtl tries again itself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds, 120 by default
    "MLFLOW_CONFIGURE_LOGGING": "false",  # what failed is told by tsmtl, in one line
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a training tells nobody of itself
}


def _tensorboard() -> Tracker:
    from tsmtl.tracking.tensorboard import TensorBoardTracker

    return TensorBoardTracker()


def _mlflow() -> Tracker:
    if "mlflow" not in sys.modules:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    from tsmtl.tracking.mlflow import MlflowTracker

    return MlflowTracker()


TRACKERS: dict[str, Callable[[], Tracker]] = {"tensorboard": _tensorboard, "mlflow": _mlflow}

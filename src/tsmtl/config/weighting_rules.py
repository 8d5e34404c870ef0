"""Rules between ``weighting`` and other settings; each gives a line per broken rule."""

from tsmtl.config.run_settings import TaskSettings
from tsmtl.config.task_kinds import named_tasks
from tsmtl.config.weighting_settings import AnyWeighting


def several_to_weigh(task: TaskSettings, weighting: AnyWeighting) -> list[str]:
    """Say where there is one task, and a method that weighs tasks against each other."""
    if weighting.name == "fixed" or task.task == "multi" or len(named_tasks(task)) > 1:
        return []
    return [f"weighting: {weighting.name} weighs tasks against each other; task={task.task} has one, take fixed"]

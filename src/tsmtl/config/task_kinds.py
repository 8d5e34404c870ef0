"""The tasks of a run, by the settings of its task and of its data."""

from tsmtl.config.data_settings import DataSettings, NpzSettings
from tsmtl.config.run_settings import TaskSettings


def task_kinds(task: TaskSettings, data: DataSettings) -> dict[str, str]:
    """Map the names of the tasks to their kind, ``cls`` or ``reg``; task 1 comes first."""
    if task.task != "multi":
        return {task.task: task.task}
    if isinstance(data, NpzSettings) and data.class_target_2 is not None:
        return {"cls": "cls", "cls_2": "cls"}
    return {"cls": "cls", "reg": "reg"}

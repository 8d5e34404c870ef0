"""The tasks of a run, by the settings of its task and of its data."""

from tsmtl.config.data_settings import ArraySettings, DataSettings, TargetPlace
from tsmtl.config.run_settings import (
    CustomTaskSettings,
    MultiTaskSettings,
    NamedTask,
    SingleTaskSettings,
    TaskSettings,
)


def task_kinds(task: TaskSettings, data: DataSettings) -> dict[str, str]:
    """Map the names of the tasks to their kind, ``cls``, ``reg`` or ``multilabel``, in order; task 1 comes first."""
    if isinstance(task, CustomTaskSettings):
        return {named.name: named.kind for named in task.tasks}
    if task.task != "multi":
        return {task.task: task.task}
    if isinstance(data, ArraySettings) and data.class_target_2 is not None:
        return {"cls": "cls", "cls_2": "cls"}
    return {"cls": "cls", "reg": "reg"}


def named_tasks(task: TaskSettings) -> list[NamedTask]:
    """Give the tasks of ``task=custom``; none of another."""
    return task.tasks if isinstance(task, CustomTaskSettings) else []


def target_places(task: TaskSettings) -> dict[str, TargetPlace]:
    """Say where the targets of ``task=custom`` stand, by task; those of other tasks are named in the data's section."""
    return {
        named.name: TargetPlace(
            f"tasks.{named.name}.target", named.targets, named.unit, None if named.names is None else tuple(named.names)
        )
        for named in named_tasks(task)
    }


def task_sizes(task: TaskSettings) -> dict[str, tuple[str, int]]:
    """Give the size (K, D or L) that the user typed of a task, and the setting, by task."""
    said: dict[str, tuple[str, int | None]] = {}
    if isinstance(task, SingleTaskSettings):
        said = {"cls": ("num_classes", task.num_classes)}
    elif isinstance(task, MultiTaskSettings):
        said = {"cls": ("num_classes_1", task.num_classes_1), "cls_2": ("num_classes_2", task.num_classes_2)}
    said |= {named.name: (f"tasks.{named.name}.size", named.size) for named in named_tasks(task)}
    return {name: (setting, size) for name, (setting, size) in said.items() if size is not None}


def task_losses(task: TaskSettings) -> dict[str, str]:
    """Give the loss of each task that has one of its own, by task."""
    return {named.name: named.loss for named in named_tasks(task) if named.loss is not None}


def fixed_shares(task: TaskSettings, names: list[str]) -> dict[str, float]:
    """Give the share of each task in the loss with ``weighting=fixed``; they add up to 1.

    Args:
        task: The settings of the task.
        names: The tasks.
    """
    if isinstance(task, MultiTaskSettings):
        return dict(zip(names, (task.alpha, 1.0 - task.alpha), strict=True))
    weights = {named.name: named.weight for named in named_tasks(task)} or dict.fromkeys(names, 1.0)
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}

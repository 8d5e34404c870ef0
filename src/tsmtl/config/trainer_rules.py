"""Rules of the training's settings; each gives a line per broken rule."""

from importlib.util import find_spec

from tsmtl.config.data_settings import DataSettings
from tsmtl.config.metric_names import CAPPED, JOINT, metrics_of_numbers, monitor_choices
from tsmtl.config.model_settings import ModelSettings
from tsmtl.config.run_settings import TaskSettings
from tsmtl.config.task_kinds import task_kinds
from tsmtl.config.trainer_settings import TRACKER_PACKAGES, TrainerSettings
from tsmtl.config.words import must_be_one_of


def monitors(task: TaskSettings, data: DataSettings) -> dict[str, bool]:
    """Map every value that ``trainer.monitor`` may take with these tasks and data to whether higher is better."""
    numbers = metrics_of_numbers(data.clip_target is not None, data.regression_metrics)
    return monitor_choices(task_kinds(task, data), numbers)


def monitor_of_the_tasks(task: TaskSettings, data: DataSettings, trainer: TrainerSettings) -> list[str]:
    """Check that the score that chooses the best epoch is one of these tasks."""
    choices, monitor = monitors(task, data), trainer.monitor
    if monitor in choices:
        return []
    if monitor.rpartition("/")[2] in CAPPED and monitor.removesuffix("_capped") in choices:
        return [f"trainer.monitor: {monitor} needs data.clip_target, such as [null, 125]"]
    return [f"trainer.monitor: {must_be_one_of(choices, monitor)}"]


def joint_score(task: TaskSettings, data: DataSettings, trainer: TrainerSettings) -> list[str]:
    """Check what the joint score is made of."""
    kinds = task_kinds(task, data)
    problems = [
        f"trainer.joint_weights: {name} is no task of this run; there {'is' if len(kinds) == 1 else 'are'} "
        f"{', '.join(kinds)}"
        for name in trainer.joint_weights
        if name not in kinds
    ]
    if not any(trainer.joint_weights.get(name, 1.0) for name in kinds):
        problems.append("trainer.joint_weights: one must be above 0")
    if trainer.joint_metrics.reg in CAPPED and data.clip_target is None:
        problems.append(
            f"trainer.joint_metrics: {trainer.joint_metrics.reg} needs data.clip_target, such as [null, 125]"
        )
    return problems


def several_to_compare(task: TaskSettings, data: DataSettings, trainer: TrainerSettings) -> list[str]:
    """Check that what sets tasks side by side has several."""
    kinds, problems = task_kinds(task, data), []
    if len(kinds) < 2 and trainer.conflict != "off":
        problems.append(
            f"trainer.conflict: compares the gradients of tasks; task={task.task} has one; trainer.conflict=off goes "
            "with it"
        )
    if len(kinds) < 2 and trainer.best_per_task:
        problems.append(f"trainer.best_per_task: task={task.task} has one, whose best epoch trainer.monitor chooses")
    return problems


def side_scores(task: TaskSettings, data: DataSettings, trainer: TrainerSettings) -> dict[str, str]:
    """Map the checkpoints of ``trainer.best_per_task``, by task and ``joint``, to the scores that choose them."""
    if not trainer.best_per_task:
        return {}
    metrics = trainer.joint_metrics.model_dump()
    of_tasks = {name: f"val/{name}/{metrics[kind]}" for name, kind in task_kinds(task, data).items()}
    return of_tasks | {"joint": JOINT}


def last_epoch_waits_for_none(trainer: TrainerSettings) -> list[str]:
    """Check that nothing waits for a better epoch where the last one is kept."""
    if trainer.keep != "last":
        return []
    waits = {
        "early_stopping_patience": trainer.early_stopping_patience is not None,
        "schedule": trainer.schedule == "plateau",
    }
    return [
        f"trainer.{key}: waits for epochs without a better score, and trainer.keep=last takes each"
        for key, given in waits.items()
        if given
    ]


def weights(task: TaskSettings, data: DataSettings, trainer: TrainerSettings) -> list[str]:
    """Check that weights and samplers have what they weigh."""
    kinds, problems = list(task_kinds(task, data).values()), []
    if isinstance(trainer.class_weights, list) and kinds.count("cls") > 1:
        problems.append(
            "trainer.class_weights: a list has the weights of one task's classes, and several tasks have classes; take "
            "balanced"
        )
    if "cls" not in kinds:
        typed = {
            "class_weights": trainer.class_weights != "none",
            "label_smoothing": trainer.label_smoothing > 0,
            "sampler": trainer.sampler == "balanced",
        }
        problems += [f"trainer.{key}: task={task.task} has no classes" for key, given in typed.items() if given]
    if "reg" not in kinds and trainer.regression_weights != "none":
        problems.append(
            f"trainer.regression_weights: task={task.task} has no number"
            + (" with data.class_target_2" if task.task == "multi" else "")
        )
    if len(kinds) < 2 and trainer.sampler == "both_tasks":
        problems.append(f"trainer.sampler: both_tasks is for several tasks; task={task.task} has one")
    return problems


def trackers(trainer: TrainerSettings) -> list[str]:
    """Check that each tracker stands once, and is installed."""
    names = dict.fromkeys(trainer.tracker)
    problems = [
        f"trainer.tracker: {name} stands there {trainer.tracker.count(name)} times; once is enough"
        for name in names
        if trainer.tracker.count(name) > 1
    ]
    missing = [name for name in names if any(find_spec(package) is None for package in TRACKER_PACKAGES[name])]
    if missing:
        problems.append(f"trainer.tracker: {', '.join(missing)} is not installed: pip install 'tsmtl[track]'")
    return problems


def looks_at_vectors(model: ModelSettings, trainer: TrainerSettings) -> list[str]:
    """Check that what is made of vectors has vectors, and scikit-learn."""
    asked = {"logistic_probe": trainer.logistic_probe, "vectors_picture": trainer.vectors_picture != "pca"}
    names = [f"trainer.{key}" for key, given in asked.items() if given]
    if model.model != "fc":
        return [f"{name}: is made of vectors, which model=fc reads; model={model.model} reads series" for name in names]
    if find_spec("sklearn") is None:
        return [f"{name}: needs scikit-learn: pip install scikit-learn" for name in names]
    return []

"""Whether the score of a sweep compares its jobs: settings that change a loss itself make losses of different kinds."""

from collections.abc import Collection, Sequence
from typing import Any

from tsmtl.config.identity import flattened, sha256_of_values
from tsmtl.config.schema import Settings
from tsmtl.config.task_kinds import task_losses
from tsmtl.config.trainer_rules import monitors

OF_TOTAL = ("task", "alpha")
OF_NAMED = ("task", "tasks")
OF_KIND: dict[str, tuple[str, ...]] = {
    "multilabel": (),
    "cls": ("trainer.class_weights", "trainer.label_smoothing"),
    "reg": (
        *("trainer.regression_loss", "trainer.huber_delta", "trainer.regression_weights"),
        *("data.transform_target", "data.clip_target", "data.scale_target"),
    ),
}
PREFERRED = ("macro_f1", "rmse")


def why_not_comparable(jobs: Sequence[Settings]) -> str | None:
    """Say in one line why the jobs' scores cannot be compared, and how to mend it; None where they can.

    Args:
        jobs: Settings of all jobs of a sweep.
    """
    scores = dict.fromkeys(job.trainer.monitor for job in jobs)
    if len(scores) > 1:
        return f"trainer.monitor: jobs that are judged by {', '.join(scores)} cannot be ranked; take one for all"
    changed = [
        key
        for key in dict.fromkeys(key for job in jobs for key in _changing(job))
        if len({sha256_of_values(_value(job, key)) for job in jobs}) > 1
    ]
    if "task" in changed:
        changed = [key for key in changed if key not in ("alpha", "tasks")]  # which only one of the tasks has
    return _line(jobs, changed) if changed else None


def why_not_searched(job: Settings, keys: Collection[str]) -> str | None:
    """Say in one line why a search of these keys would rather make the loss small than the model good, or None.

    Args:
        job: Settings of a job of it.
        keys: The settings that are searched.
    """
    changed = [key for key in _changing(job) if key in keys]
    return _line([job], changed) if changed else None


def _line(jobs: Sequence[Settings], changed: Sequence[str]) -> str:
    common = [name for name in monitors(jobs[0].task, jobs[0].data) if all(_may_take(job, name) for job in jobs)]
    mends = [name for metric in PREFERRED for name in common if name.endswith(f"/{metric}")]
    if all(len(job.tasks) > 1 for job in jobs):
        mends = ["joint"]
    mend = f"; trainer.monitor={mends[0]} does" if mends else ", and no metric is common to all of them"
    verb = "changes" if len(changed) == 1 else "change"
    return f"{jobs[0].trainer.monitor} does not compare the jobs: {', '.join(changed)} {verb} the loss itself{mend}"


def _changing(job: Settings) -> tuple[str, ...]:
    """Give the settings that change the loss by which a job is judged; none where a metric judges it."""
    _, *task, what = job.trainer.monitor.split("/")
    if what != "loss":
        return ()
    if task:
        return (*OF_KIND[job.tasks[task[0]]], *(["tasks"] if job.task.task == "custom" else []))
    total = OF_NAMED if job.task.task == "custom" else OF_TOTAL
    return (*total, *(key for kind in dict.fromkeys(job.tasks.values()) for key in OF_KIND[kind]))


def _may_take(job: Settings, monitor: str) -> bool:
    return monitor in monitors(job.task, job.data)


def _value(job: Settings, key: str) -> Any:
    if key == "alpha":
        return list(job.weights.values())  # which other weightings than fixed leave equal, whatever alpha is
    if key == "tasks":
        return _tasks_judged(job)
    return flattened(job.flat).get(key)


def _tasks_judged(job: Settings) -> list[tuple[str, ...]] | None:
    """Give what makes the loss by which a job of ``task=custom`` is judged: its tasks, or the one that is watched."""
    if job.task.task != "custom":
        return None
    watched = job.trainer.monitor.split("/")[1:-1]
    own, losses = dict(job.data.named), task_losses(job.task)
    return [
        (name, kind, own[name].said, losses.get(name, ""), "" if watched else repr(job.weights[name]))
        for name, kind in job.tasks.items()
        if not watched or name in watched
    ]

"""Settings of ``tsmtl-compare``, beside those of the training that it compares variants of."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from tsmtl.config.errors import UserError
from tsmtl.config.run_settings import MultiTaskSettings
from tsmtl.config.schema import Settings, check_section
from tsmtl.config.section import Probability, Section, Text
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.config.weighting_settings import WEIGHTINGS
from tsmtl.config.words import did_you_mean, must_be_one_of

Factors = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]


class CompareSettings(Section):
    """Settings under ``compare``."""

    seeds: Annotated[int, Field(ge=2)] = Field(description="repetitions of every variant: seed, seed + 1, ...")
    variants: list[Literal["multi", "transfer", "control"]] = Field(
        description="beside the single-task twins: all tasks from scratch; pretrained on one, then all; the other "
        "tasks' labels shuffled"
    )
    alphas: list[Probability] = Field(description="values of alpha to train all tasks with, for the frontier")
    weightings: list[Text] = Field(description="weighting methods to train all tasks with")
    budget_task: Text | None = Field(description="task that has few labels, for the curve over label_shares")
    label_shares: list[Annotated[float, Field(gt=0, le=1)]] = Field(description="shares of its train labels")
    lr_factors: Factors = Field(description="the small search of each variant: factors on lr")
    epoch_factors: Factors = Field(description="and factors on num_epochs")
    folder: Text | None = Field(description="where all is kept, and gone on with; null: outputs/compare/<hash>")


def compare_settings(values: Mapping[str, Any]) -> CompareSettings:
    """Check what stands under ``compare``.

    Raises:
        UserError: With a line for every problem.
    """
    problems: list[str] = []
    known = [f"compare.{key}" for key in CompareSettings.model_fields]

    def unknown(full: str, key: str, section: type[Section], owner: str) -> str:
        return f"unknown setting{did_you_mean(full, known) or f'; {owner} --help lists all'}"

    checked = check_section(CompareSettings, values, "compare", problems, "tsmtl-compare", unknown)
    if checked is None:
        raise UserError(problems)
    return checked


def comparison_problems(own: CompareSettings, training: Settings, typed: frozenset[str]) -> list[str]:
    """Check what is compared against the training that it is compared by.

    Args:
        own: The settings under ``compare``.
        training: Those of the training.
        typed: Keys under ``compare`` that the user gave.
    """
    tasks = list(training.tasks)
    problems = []
    if len(tasks) < 2:
        problems.append(f"task: {training.task.task} has one task, and nothing to compare; take task=multi")
    if training.run.stage != "train" or training.run.pretrained_path is not None:
        problems.append("stage: a comparison trains from scratch, and pretrains by itself; leave stage out")
    if training.run.best_model_path is not None:
        problems.append("best_model_path: each run of a comparison keeps its model in its own folder; leave it out")
    if not (own.variants or own.alphas or own.weightings or own.budget_task):
        problems.append("compare.variants: nothing is left to compare with the single-task twins")
    if own.alphas and not isinstance(training.task, MultiTaskSettings):
        problems.append(f"compare.alphas: alpha is a setting of task=multi; task={training.task.task} has weights")
    if "trainer.monitor" in training.typed:
        problems.append(
            "trainer.monitor: a comparison chooses each variant's best epoch by its joint score; leave it out"
        )
    problems += _not_alike(training)
    if own.budget_task is not None and not own.label_shares:
        problems.append("compare.label_shares: the curve over labels needs some")
    if "control" in own.variants and "multi" not in own.variants:
        problems.append("compare.variants: control is compared with multi; name that too")
    if own.budget_task is None and "compare.label_shares" in typed:
        problems.append("compare.label_shares: is read with compare.budget_task, the task that has few labels; name it")
    problems += [f"compare.weightings: {must_be_one_of(WEIGHTINGS, w)}" for w in own.weightings if w not in WEIGHTINGS]
    if own.budget_task is not None and own.budget_task not in tasks:
        problems.append(f"compare.budget_task: {must_be_one_of(tasks, own.budget_task)}")
    if own.budget_task is not None and own.budget_task in training.data.label_share:
        problems.append("data.label_share: compare.label_shares says of the same task how many labels it has")
    for key in ("alphas", "weightings", "label_shares", "lr_factors", "epoch_factors", "variants"):
        values = getattr(own, key)
        if len(set(values)) < len(values):
            problems.append(f"compare.{key}: each value once is enough")
    return problems


def _not_alike(training: Settings) -> list[str]:
    """Say what would make the difference from a twin another one than that of learning one task or several."""
    drawn_by = {  # a twin draws at random, or by its own classes; what is drawn more often would be part of the gain
        "both_tasks": "all tasks, which a single-task twin cannot; take random",
        "balanced": "the classes of one task, which the twins of the others cannot; take random, and "
        "trainer.class_weights=balanced where classes are rare",
    }
    sampler, problems = training.trainer.sampler, []
    if sampler in drawn_by:
        problems.append(f"trainer.sampler: {sampler} draws by {drawn_by[sampler]}")
    idle = [task for task, share in training.weights.items() if share == 0]
    setting = "alpha" if isinstance(training.task, MultiTaskSettings) else "tasks"
    problems += [
        f"{setting}: {task} has no weight, so that all tasks together would not learn it; give it some, or leave it out"
        for task in idle
    ]
    problems += [
        f"trainer.joint_weights: {task} has 0, so that the epoch would be chosen by others alone, and that of its twin "
        "by itself; give it more"
        for task, weight in training.trainer.joint_weights.items()
        if weight == 0
    ]
    return problems


def epochs_are_searched(trainer: TrainerSettings) -> bool:
    """Whether fewer epochs than the most are a choice of their own, and not the best epoch of a longer training."""
    return trainer.schedule == "cosine" or trainer.keep == "last"

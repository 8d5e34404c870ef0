"""Settings of the run and of the task."""

from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import Field

from tsmtl.config.section import Count, Probability, Section, Text


class RunSettings(Section):
    """Settings of the run itself."""

    best_model_path: Text | None = Field(description="where the trained model is stored")
    device: Literal["cuda", "cpu"] = Field(description="where to train")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(description="of initial weights, order of batches and dropout")
    plugins: list[Text] = Field(description="modules to import that register backbones")


class TaskSettings(Section):
    """Settings that every task has."""

    task: str = Field(description="which task")


class SingleTaskSettings(TaskSettings):
    """Settings of ``task=cls`` and ``task=reg``."""

    task: Literal["cls", "reg"] = Field(description="which task")
    num_classes: Count | None = Field(description="number of classes; 1 for regression")


class MultiTaskSettings(TaskSettings):
    """Settings of ``task=multi``."""

    task: Literal["multi"] = Field(description="which task")
    alpha: Probability = Field(description="share of task 1: alpha * L1 + (1 - alpha) * L2")
    num_classes_1: Annotated[int, Ge(2)] | None = Field(description="number of classes of task 1")
    num_classes_2: Count | None = Field(description="number of classes of task 2; 1 means regression")


TASKS: dict[str, type[TaskSettings]] = {
    "cls": SingleTaskSettings,
    "reg": SingleTaskSettings,
    "multi": MultiTaskSettings,
}

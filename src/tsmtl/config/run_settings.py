"""Settings of the run and of the task."""

from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import ConfigDict, Field

from tsmtl.config.section import Count, Probability, Section, Text


class RunSettings(Section):
    """Settings of the run itself."""

    best_model_path: Text | None = Field(description="where the trained model is stored")
    device: Literal["cuda", "cpu"] = Field(description="where to train")
    devices: Count = Field(description="processes that share each batch, a GPU or some of the CPU's cores each")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(description="of initial weights, order of batches and dropout")
    stage: Literal["train", "pretrain", "finetune"] = Field(
        description="which step of pretrain -> finetune this run is"
    )
    pretrained_path: Text | None = Field(description="checkpoint that stage=finetune starts from")
    freeze: bool = Field(description="train only the fc layers: all other layers stay as loaded")
    resume: bool = Field(description="go on with the unfinished run in hydra.run.dir, where there is one")
    plugins: list[Text] = Field(description="modules to import that register backbones")


class PretrainSettings(Section):
    """Settings under ``pretrain``: what else stands there changes a setting of the pretraining."""

    model_config = ConfigDict(extra="allow")

    task: Literal["cls", "reg", "multi"] | None = Field(description="pretrain on this task in the same job")
    folder: Text = Field(description="where pretrainings are kept, and found again by the same settings and data")

    @property
    def changes(self) -> dict[str, Any]:
        """Settings of the pretraining that differ from the fine-tuning's."""
        return dict(self.model_extra or {})


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

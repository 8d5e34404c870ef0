"""Settings of the run and of the task."""

from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import ConfigDict, Field

from tsmtl.config.section import Count, Probability, Section, Text

Names = Annotated[list[Text], Field(min_length=1)]


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
    overlap: Literal["refuse", "warn"] = Field(
        description="what comes of test instances that the checkpoint was trained or chosen on"
    )
    resume: bool = Field(description="go on with the unfinished run in hydra.run.dir, where there is one")
    plugins: list[Text] = Field(description="modules to import that register backbones")


class PretrainSettings(Section):
    """Settings under ``pretrain``: what else stands there changes a setting of the pretraining."""

    model_config = ConfigDict(extra="allow")

    task: Text | None = Field(
        description="pretrain in the same job on cls, reg or multi; with task=custom on a task by its name, or custom"
    )
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


class NamedTask(Section):
    """One of the tasks of ``task=custom``."""

    name: Text = Field(description="what the task is called in metrics, columns and files: letters, digits and _")
    kind: Literal["cls", "reg", "multilabel"] = Field(
        description="one class of K; D numbers; or L labels, any of which may be true"
    )
    target: Text | Names | None = Field(
        default=None, description="array or column of the target; several for D numbers or L labels"
    )
    loss: Literal["cross_entropy", "mse", "mae", "huber", "bce"] | None = Field(
        default=None, description="null: that of the kind: cross_entropy, trainer.regression_loss, bce"
    )
    weight: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="weighting=fixed: loss = sum of weight * loss / sum of weights"
    )
    size: Count | None = Field(default=None, description="K, D or L, checked against the data; null: read from it")
    unit: Text | None = Field(default=None, description="unit of a number, for tables and pictures")
    names: Names | None = Field(default=None, description="names of the class ids 0 ... K - 1, or of the L labels")

    @property
    def targets(self) -> tuple[str, ...]:
        """The arrays or columns; none where the source has one target and no name for it."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)


class CustomTaskSettings(TaskSettings):
    """Settings of ``task=custom``."""

    task: Literal["custom"] = Field(description="which task")
    tasks: Annotated[list[NamedTask], Field(min_length=1)] = Field(description="the tasks, one or more")


TASKS: dict[str, type[TaskSettings]] = {
    "cls": SingleTaskSettings,
    "reg": SingleTaskSettings,
    "multi": MultiTaskSettings,
    "custom": CustomTaskSettings,
}

"""Settings of the training: optimiser, schedule, losses, and what chooses the best epoch."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from tsmtl.config.metric_names import JOINT
from tsmtl.config.section import Count, Section, Text

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Tracker = Literal["tensorboard", "mlflow"]
# What the extra brings; MLflow's own client leaves out what its local file needs.
TRACKER_PACKAGES: dict[Tracker, list[str]] = {
    "tensorboard": ["tensorboard"],
    "mlflow": ["mlflow", "sqlalchemy", "alembic"],
}


def _off(value: object) -> object:
    return "off" if value is False else value  # YAML reads an off without quotes as false


class JointMetrics(Section):
    """Settings under ``trainer.joint_metrics``."""

    cls: Literal["accuracy", "balanced_accuracy", "macro_f1"] = Field(description="of classifications")
    reg: Literal["rmse", "mae", "rmse_capped", "mae_capped"] = Field(description="of numbers")
    multilabel: Literal["micro_f1", "macro_f1", "subset_accuracy"] = Field(description="of labels")


class TrainerSettings(Section):
    """Settings under ``trainer``."""

    optimizer: Literal["adam", "adamw", "sgd"] = Field(description="optimiser")
    weight_decay: NotNegative = Field(description="weight decay")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(description="momentum of optimizer=sgd")
    schedule: Literal["none", "cosine", "plateau"] = Field(description="learning rate over the epochs")
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = Field(description="factor of schedule=plateau")
    plateau_patience: Count = Field(description="epochs without a better score before the factor")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(description="epochs of linear rise to lr")
    early_stopping_patience: Count | None = Field(description="epochs without a better score before the end")
    lr_backbone_factor: Positive = Field(description="factor on lr for the backbone")
    unfreeze_at: Annotated[int, Field(ge=2)] | None = Field(
        description="stage=finetune: epoch in which the backbone begins to learn"
    )
    sampler: Literal["random", "balanced", "both_tasks"] = Field(
        description="instances of a batch: at random; every class equally often; some labelled for each task"
    )
    epoch_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        description="share of the train instances, drawn anew, that an epoch reads"
    )
    precision: Literal["float32", "tf32", "bf16"] = Field(
        description="what training steps compute in; all that is measured or predicted is float32"
    )
    kernels: Literal["torch", "native"] = Field(
        description="native: training steps on a CPU through C++ kernels, compiled on first use, if the model has any"
    )
    cuda_graph: Annotated[Literal["auto", "off"], BeforeValidator(_off)] = Field(
        description="on a GPU, record the training step once and launch it as a whole, where that is possible"
    )
    gradient_clip: Positive | None = Field(description="largest norm of the gradient")
    weight_average: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        description="decay of a moving average of the weights, which is then validated and saved in their place"
    )
    monitor: Annotated[Text, AfterValidator(lambda name: JOINT if name == "joint" else name)] = Field(
        description="chooses the best epoch: val/loss, val/<task>/<metric>, or joint, of all tasks"
    )
    joint_metrics: JointMetrics = Field(description="metric of each kind of task in the joint score")
    joint_weights: dict[str, NotNegative] = Field(description="weights of the tasks in it, by name; 1 for the others")
    keep: Literal["best", "last"] = Field(description="epoch whose weights are saved and tested")
    best_per_task: bool = Field(
        description="save and test the best epoch by each task's metric of joint_metrics, and by joint, beside it"
    )
    conflict: Annotated[Literal["off", "epoch"], BeforeValidator(_off)] = Field(
        description="measure the tasks' gradients on the backbone against each other, over the epochs"
    )
    calibrate: bool = Field(
        description="fit a temperature of the classes and intervals of the numbers on val, at the end"
    )
    class_weights: Literal["none", "balanced"] | list[Positive] = Field(
        description="weights of the classes in the loss"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(description="label smoothing of the cross-entropy")
    regression_loss: Literal["mse", "mae", "huber"] = Field(description="loss of the standardised number")
    huber_delta: Positive = Field(description="where regression_loss=huber turns linear, in sd of the target")
    regression_weights: Literal["none", "rare"] = Field(description="weights of the number's values in the loss")
    pictures: bool = Field(description="draw what a run has found, as PNG files")
    logistic_probe: bool = Field(description="of vectors: a logistic regression of each class beside the run")
    vectors_picture: Literal["pca", "tsne"] = Field(description="of vectors: how test comes into two dimensions")
    # OpenMP ends a process that asks it for more threads than the system gives.
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(description="threads of each process on the CPU")
    tracker: list[Tracker] = Field(description="what the run is also logged to")

"""Settings of ``representation``: one class per method with settings of its own, told apart by ``name``."""

from typing import Annotated, Literal

from pydantic import Field

from tsmtl.config.section import Count, Probability, Section, Text

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]
Odd = Literal[3, 5, 7, 9, 11, 13, 15]


class SummarySettings(Section):
    """Settings of ``representation=summary``."""

    name: Literal["summary"] = Field(description="which method")
    quantiles: list[Probability] = Field(description="of the values of a channel")
    bands: Annotated[int, Field(ge=0)] = Field(description="of equal width in the spectrum of a channel")


class MiniRocketSettings(Section):
    """Settings of ``representation=minirocket``."""

    name: Literal["minirocket"] = Field(description="which method")
    num_features: Annotated[int, Field(ge=84)] = Field(description="E, rounded down to whole kernels")
    max_dilations: Count = Field(description="most dilations of each kernel")


class MultiRocketSettings(Section):
    """Settings of ``representation=multirocket``."""

    name: Literal["multirocket"] = Field(description="which method")
    num_features: Annotated[int, Field(ge=672)] = Field(description="E, rounded down to whole kernels")
    max_dilations: Count = Field(description="most dilations of each kernel")


class Catch22Settings(Section):
    """Settings of ``representation=catch22``."""

    name: Literal["catch22"] = Field(description="which method")
    mean_and_sd: bool = Field(description="mean and sd of each channel too")


class CheckpointSettings(Section):
    """Settings of ``representation=checkpoint``."""

    name: Literal["checkpoint"] = Field(description="which method")
    path: Text = Field(description="the trained model, a best_model.pt")


class TrainedSettings(Section):
    """Settings of methods that train a network; how it is trained."""

    steps: Count = Field(description="training steps; of more than an epoch, rounded up to whole ones")
    batch_size: Count = Field(description="series per step")
    lr: Annotated[float, Field(gt=0, le=0.1)] = Field(description="learning rate, of AdamW")
    weight_decay: NotNegative = Field(description="weight decay")
    weight_average: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="decay of a mean of the weights, which is then kept in their place; 1: all steps count alike"
    )
    gradient_clip: Positive | None = Field(description="largest norm of the gradient")
    precision: Literal["float32", "bf16"] = Field(description="what training steps compute in; vectors are float32")


class TS2VecSettings(TrainedSettings):
    """Settings of ``representation=ts2vec``."""

    name: Literal["ts2vec"] = Field(description="which method")
    embed_dim: Count = Field(description="E")
    hidden_size: Count = Field(description="features within the encoder")
    depth: Annotated[int, Field(ge=1, le=20)] = Field(
        description="residual blocks before the last one; the dilation doubles from each to the next"
    )
    kernel_size: Odd = Field(description="taps of the convolutions, odd")
    dropout: Dropout = Field(description="of the vectors of a training step")
    hidden_share: Annotated[float, Field(ge=0, lt=1)] = Field(description="probability that a view misses a step")
    longest_view: Annotated[int, Field(ge=2)] = Field(description="most steps of the views of a series")
    temporal_unit: Annotated[int, Field(ge=0, le=20)] = Field(
        description="scale, of steps halved so often, from which time is told apart"
    )
    steps: Count | None = Field(  # type: ignore[assignment]  # null here alone
        description="training steps; of more than an epoch, rounded up to whole ones"
    )


class ContrastiveSettings(TrainedSettings):
    """Settings of ``representation=contrastive``."""

    name: Literal["contrastive"] = Field(description="which method")
    features: Count = Field(description="E")
    kernel_size: Count = Field(description="taps of the convolutions")
    dropout: Dropout = Field(description="behind the encoder's first block")
    readout: Literal["mean", "max"] = Field(description="what is read of a feature over the steps")
    weak_jitter: NotNegative = Field(description="sd of the weak view's noise, beside the channel's")
    weak_scale: NotNegative = Field(description="sd of the weak view's factor around 1")
    strong_segments: Count = Field(description="pieces of the strong view, at most")
    strong_jitter: NotNegative = Field(description="sd of the strong view's noise, beside the channel's")
    future_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description="share of the encoder's steps that are told from those before"
    )
    heads: Count = Field(description="of the context's attention")
    head_size: Count = Field(description="features of each head")
    layers: Count = Field(description="of the context")
    context_dropout: Dropout = Field(description="of the context")
    temperature: Positive = Field(description="of the contextual contrast")
    temporal_weight: NotNegative = Field(description="of the temporal contrasts in the loss")
    contextual_weight: NotNegative = Field(description="of the contextual contrast in the loss")
    batch_size: AtLeastTwo = Field(description="series per step")


class MaskedSettings(TrainedSettings):
    """Settings of ``representation=masked``."""

    name: Literal["masked"] = Field(description="which method")
    heads: Count = Field(description="of each layer's attention")
    head_size: Count = Field(description="features of each head; E is heads * head_size")
    layers: Count = Field(description="of the transformer")
    inner_size: Count = Field(description="features between the two layers of the feed-forward parts")
    dropout: Dropout = Field(description="of the encoder and before the filling in")
    readout: Literal["mean", "max"] = Field(description="what is read of a feature over the steps")
    hidden_share: Annotated[float, Field(gt=0, le=0.5)] = Field(description="of the values of each channel")
    hidden_length: Annotated[float, Field(ge=1)] = Field(description="mean steps of a hidden stretch")
    batch_size: AtLeastTwo = Field(description="series per step")


class MantisSettings(Section):
    """Settings of ``representation=mantis``."""

    name: Literal["mantis"] = Field(description="which method")
    path: Text = Field(description="the folder of the weights: config.json, *.safetensors")
    steps: Count = Field(description="what each series is stretched or shrunk to")


class MomentSettings(Section):
    """Settings of ``representation=moment``."""

    name: Literal["moment"] = Field(description="which method")
    path: Text = Field(description="the folder of the weights: config.json, *.safetensors")


class ChronosSettings(Section):
    """Settings of ``representation=chronos``."""

    name: Literal["chronos"] = Field(description="which method")
    path: Text = Field(description="the folder of the weights: config.json, *.safetensors")


AnyRepresentation = (
    SummarySettings
    | MiniRocketSettings
    | MultiRocketSettings
    | Catch22Settings
    | CheckpointSettings
    | TS2VecSettings
    | ContrastiveSettings
    | MaskedSettings
    | MantisSettings
    | MomentSettings
    | ChronosSettings
)
REPRESENTATIONS: dict[str, type[AnyRepresentation]] = {
    "summary": SummarySettings,
    "minirocket": MiniRocketSettings,
    "multirocket": MultiRocketSettings,
    "catch22": Catch22Settings,
    "checkpoint": CheckpointSettings,
    "ts2vec": TS2VecSettings,
    "contrastive": ContrastiveSettings,
    "masked": MaskedSettings,
    "mantis": MantisSettings,
    "moment": MomentSettings,
    "chronos": ChronosSettings,
}

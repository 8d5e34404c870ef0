"""Settings of ``representation``: one class per method with settings of its own, told apart by ``name``."""

from typing import Annotated, Literal

from pydantic import Field

from tsmtl.config.section import Count, Probability, Section, Text


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
    "mantis": MantisSettings,
    "moment": MomentSettings,
    "chronos": ChronosSettings,
}

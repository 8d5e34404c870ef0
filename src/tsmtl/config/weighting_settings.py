"""Settings of ``weighting``: one class per method with settings of its own, told apart by ``name``."""

from typing import Annotated, Literal

from pydantic import Field

from tsmtl.config.section import Section

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class WeightingSettings(Section):
    """Settings of a method without any of its own."""

    name: Literal["fixed", "rlw", "geometric", "pcgrad", "bisector", "mgda", "aligned"] = Field(
        description="which method"
    )


class UncertaintySettings(Section):
    """Settings of ``weighting=uncertainty``."""

    name: Literal["uncertainty"] = Field(description="which method")
    lr: Positive | None = Field(description="learning rate of the weights")


class DWASettings(Section):
    """Settings of ``weighting=dwa``."""

    name: Literal["dwa"] = Field(description="which method")
    temperature: Positive = Field(description="the greater, the more equal the weights")


class FAMOSettings(Section):
    """Settings of ``weighting=famo``."""

    name: Literal["famo"] = Field(description="which method")
    lr: Positive = Field(description="learning rate of the weights")
    decay: NotNegative = Field(description="pull towards equal weights")


class GradNormSettings(Section):
    """Settings of ``weighting=gradnorm``."""

    name: Literal["gradnorm"] = Field(description="which method")
    lr: Positive = Field(description="learning rate of the weights")
    asymmetry: NotNegative = Field(description="how strongly tasks that learn slowly are pulled on")


class DBMTLSettings(Section):
    """Settings of ``weighting=dbmtl``."""

    name: Literal["dbmtl"] = Field(description="which method")
    beta: Annotated[float, Field(ge=0, lt=1)] = Field(description="how slowly the mean gradients forget, at first")


class CAGradSettings(Section):
    """Settings of ``weighting=cagrad``."""

    name: Literal["cagrad"] = Field(description="which method")
    c: Annotated[float, Field(ge=0, lt=1)] = Field(description="how far from the mean gradient, in lengths of it")


AnyWeighting = (
    WeightingSettings
    | UncertaintySettings
    | DWASettings
    | FAMOSettings
    | GradNormSettings
    | DBMTLSettings
    | CAGradSettings
)
WEIGHTINGS: dict[str, type[AnyWeighting]] = {
    "fixed": WeightingSettings,
    "uncertainty": UncertaintySettings,
    "dwa": DWASettings,
    "rlw": WeightingSettings,
    "geometric": WeightingSettings,
    "famo": FAMOSettings,
    "gradnorm": GradNormSettings,
    "dbmtl": DBMTLSettings,
    "pcgrad": WeightingSettings,
    "bisector": WeightingSettings,
    "mgda": WeightingSettings,
    "cagrad": CAGradSettings,
    "aligned": WeightingSettings,
}

"""Settings of ``data.augment``: each entry of the list names one change and its value."""

from typing import Annotated

from pydantic import Field

from tsmtl.config.section import Section

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Jitter(Section):
    """Gaussian noise on every value."""

    jitter: Positive = Field(description="sd of the noise, in sd of the input")


class Scaling(Section):
    """A factor on each channel of each instance."""

    scaling: Positive = Field(description="sd of the factor around 1")


class TimeMask(Section):
    """A part of each series without information."""

    time_mask: Share = Field(description="share of consecutive steps set to the mean, in all channels")


class ChannelMask(Section):
    """Channels without information."""

    channel_mask: Share = Field(description="probability of each channel to be set to its mean")


class WindowWarp(Section):
    """A part of each series that runs faster or slower."""

    window_warp: Share = Field(description="largest change of speed, in a tenth of the series")


class Mixup(Section):
    """Mixtures of two instances and of their losses."""

    mixup: Positive = Field(description="a of the Beta(a, a) that the share is drawn from")


Change = Jitter | Scaling | TimeMask | ChannelMask | WindowWarp | Mixup
FOR_SERIES = frozenset({"time_mask", "window_warp"})

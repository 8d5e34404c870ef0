"""catch22 of each channel, computed by aeon."""

from typing import Any, ClassVar

import numpy as np

from tsmtl.config.errors import UserError
from tsmtl.data.instances import FloatArray
from tsmtl.representation.method import Representation, TrainSeries
from tsmtl.representation.minirocket import check_length

NAMES = (  # aeon's short ones, in its order
    *("mode_5", "mode_10", "acf_timescale", "acf_first_min", "ami2", "trev", "high_fluctuation", "stretch_high"),
    *("transition_matrix", "periodicity", "embedding_dist", "ami_timescale", "whiten_timescale"),
    *("outlier_timing_pos", "outlier_timing_neg", "centroid_freq", "stretch_decreasing", "entropy_pairs"),
    *("rs_range", "dfa", "low_freq_power", "forecast_error"),
)


class Catch22(Representation):
    """22 features of the shape of each channel (Lubba et al. 2019, doi:10.1007/s10618-019-00647-x); nothing is learnt.

    What is not defined, as much of a constant channel, is 0.

    Args:
        mean_and_sd: Mean and sd of each channel too, which makes 24.
    """

    shortest: ClassVar[int] = 3

    def __init__(self, mean_and_sd: bool) -> None:
        try:
            from aeon.transformations.collection.feature_based import Catch22 as OfAeon
        except ImportError as error:
            raise UserError("representation: catch22 needs aeon: pip install 'tsmtl[archive]'") from error
        self._of_aeon = OfAeon(catch24=mean_and_sd, replace_nans=True)
        self._channels: list[str] = []

    def fit(self, train: TrainSeries, seed: int) -> None:
        """Take the channels' names."""
        check_length(train, "catch22", self.shortest)
        self._channels = train.channels

    @property
    def names(self) -> list[str]:
        """The channel and the feature."""
        each = [*NAMES, *(("mean", "sd") if self._of_aeon.catch24 else ())]
        return [f"{channel} {name}" for channel in self._channels for name in each]

    def transform(self, x: FloatArray) -> FloatArray:
        """Give the features (N, E) of series (N, C, T)."""
        found = np.asarray(self._of_aeon.fit_transform(x.astype(np.float64)))
        return np.nan_to_num(found.astype(np.float32))

    def state(self) -> dict[str, Any]:
        """Give the channels' names."""
        return {"channels": self._channels}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over the channels' names."""
        self._channels = state["channels"]

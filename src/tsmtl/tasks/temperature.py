"""Temperature scaling: one number per classification that makes its probabilities mean what they say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST, MOST = 0.01, 100.0  # temperatures
FEWEST = 20  # labelled instances that a temperature is fitted on
STEPS = 200  # of the search at most; about ten are needed
TOLERANCE = 1e-12  # of the inverse temperature, relative


@dataclass(frozen=True)
class Temperature:
    """What the logits of a classification are divided by.

    Attributes:
        value: Above 0; 1 leaves the probabilities as they are, more makes them less sure.
        labelled: Instances that it was fitted on.
        note: Why it is 1 although it was to be fitted; None where it was.
    """

    value: float
    labelled: int
    note: str | None = None

    def state(self) -> dict[str, Any]:
        """Give plain values for a checkpoint."""
        return {"temperature": self.value, "labelled": self.labelled, "note": self.note}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Temperature":
        """Make what :meth:`state` described."""
        return cls(state["temperature"], state["labelled"], state["note"])


def fit_temperature(logits: npt.NDArray[np.floating], ids: npt.NDArray[np.integer]) -> Temperature:
    """Find the temperature of the least log loss (Guo et al. 2017, arXiv:1706.04599), within [0.01, 100].

    The log loss is convex in the inverse temperature, so that its one minimum is where the slope is 0; that is
    bracketed, and found by Newton's method in double precision. The temperature is 1 where the log loss has no minimum
    (every class is right: the surer, the better, without an end), and where too little is known of it.

    Args:
        logits: (N, K).
        ids: (N,) true class ids, -1 where missing; these rows are left out.
    """
    known = ids >= 0
    z, y = logits[known].astype(np.float64), ids[known]
    n = len(y)
    if n < FEWEST:
        return Temperature(1.0, n, f"fewer than {FEWEST} labelled instances")
    if not np.isfinite(z).all():
        return Temperature(1.0, n, "logits that are not finite")
    if (y == y[0]).all():
        return Temperature(1.0, n, "one class only")
    z -= z.max(axis=1, keepdims=True)  # the same probabilities, and no power overflows
    true = z[np.arange(n), y]
    if not true.any():
        return Temperature(1.0, n, "every class is right")
    inverse = _least(z, true, 1 / MOST, 1 / LEAST)
    if not _log_loss(z, true, inverse) < _log_loss(z, true, 1.0):
        return Temperature(1.0, n, "1 is the best")
    return Temperature(1 / inverse, n)


def _least(z: npt.NDArray[np.float64], true: npt.NDArray[np.float64], low: float, high: float) -> float:
    """Give the inverse temperature between two others where the log loss is least."""
    if _slopes(z, true, low)[0] >= 0:
        return low
    if _slopes(z, true, high)[0] <= 0:
        return high
    inverse = 1.0
    for _ in range(STEPS):
        slope, bend = _slopes(z, true, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        newton = inverse - slope / bend if bend > 0 else low
        after = newton if low < newton < high else (low * high) ** 0.5
        if abs(after - inverse) <= TOLERANCE * inverse:
            return after
        inverse = after
    return inverse


def _slopes(z: npt.NDArray[np.float64], true: npt.NDArray[np.float64], inverse: float) -> tuple[float, float]:
    """Give the first and second derivative of the log loss by the inverse temperature."""
    p = np.exp(inverse * z)
    p /= p.sum(axis=1, keepdims=True)
    mean = (p * z).sum(axis=1)
    return float((mean - true).mean()), float(((p * z * z).sum(axis=1) - mean**2).mean())


def _log_loss(z: npt.NDArray[np.float64], true: npt.NDArray[np.float64], inverse: float) -> float:
    return float((np.log(np.exp(inverse * z).sum(axis=1)) - inverse * true).mean())

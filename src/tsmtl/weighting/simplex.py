"""The least value of a function of weights that add up to 1."""

import math

from torch import Tensor

SWEEPS, ENOUGH = 1000, 1e-12


def least_on_simplex(gram: Tensor, slope: Tensor, factor: float) -> Tensor:
    """Minimise ``slope . w + factor * sqrt(w' gram w)`` over ``w >= 0`` that add up to 1.

    Mass goes from one weight to another, by the exact minimum along that line, from pair to pair until none moves. Two
    weights have one pair: theirs is a closed form.

    Args:
        gram: (K, K), float64, positive semidefinite.
        slope: (K,).
        factor: At least 0.

    Returns:
        (K,).
    """
    products, slopes, k = gram.tolist(), slope.tolist(), len(gram)
    weights = [1 / k] * k
    for _ in range(SWEEPS if k > 2 else 1):
        moved = 0.0
        for i in range(k):
            for j in range(i):
                step = _best_step(products, slopes, factor, weights, i, j)
                weights[i] += step
                weights[j] -= step
                moved = max(moved, abs(step))
        if moved < ENOUGH:
            break
    return gram.new_tensor(weights)


def _best_step(
    products: list[list[float]], slopes: list[float], factor: float, weights: list[float], i: int, j: int
) -> float:
    """Give how much to move from weight ``j`` to weight ``i``.

    Along the line the function is ``q d + factor * sqrt(a (d - centre)^2 + rest)``.
    """
    q = slopes[i] - slopes[j]
    a = products[i][i] + products[j][j] - 2 * products[i][j]
    along = [sum(p * w for p, w in zip(row, weights, strict=True)) for row in products]
    b = along[i] - along[j]
    steep = factor * factor * a - q * q
    if steep > 0:
        square = sum(p * w for p, w in zip(along, weights, strict=True))
        rest = max(0.0, square - b * b / a)
        best = -b / a - q * math.sqrt(rest / (a * steep))
    else:  # the slope wins everywhere; without one, both gradients are the same
        best = math.copysign(math.inf, -q) if q else 0.0
    return min(max(best, -weights[i]), weights[j])

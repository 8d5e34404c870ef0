"""k-means: the nearest of k centres (Lloyd 1982), begun by k-means++ (Arthur and Vassilvitskii 2007)."""

import numpy as np
import numpy.typing as npt

Double = npt.NDArray[np.float64]
STARTS, STEPS = 10, 100  # draws of first centres, of which the best result is kept; most steps of each
MOST_ROWS = 50_000  # a random part of more is enough


def kmeans(x: Double, k: int, rng: np.random.Generator) -> Double:
    """Find k centres of rows.

    Args:
        x: (n, d), finite.
        k: Number of centres; at most that many different rows must be there.
        rng: Source of the draws.

    Returns:
        (k, d) centres, in the order of their coordinates.

    Raises:
        ValueError: If there are fewer different rows than centres.
    """
    if len(x) > MOST_ROWS:
        x = x[rng.choice(len(x), MOST_ROWS, replace=False)]
    if len(np.unique(x, axis=0)) < k:
        raise ValueError(f"fewer than {k} different rows")
    best: tuple[float, Double] | None = None
    for _ in range(STARTS):
        centres = _first(x, k, rng)
        for _ in range(STEPS):
            of = nearest(x, centres)
            moved = np.stack([x[of == j].mean(axis=0) if (of == j).any() else centres[j] for j in range(k)])
            if np.array_equal(moved, centres):
                break
            centres = moved
        spread = float(((x - centres[nearest(x, centres)]) ** 2).sum())
        if best is None or spread < best[0]:
            best = (spread, centres)
    assert best is not None
    return np.asarray(best[1][np.lexsort(best[1].T[::-1])])


def nearest(x: Double, centres: Double) -> npt.NDArray[np.int64]:
    """Give the nearest centre of each row (n,)."""
    return np.asarray(np.argmin(np.stack([((x - centre) ** 2).sum(axis=1) for centre in centres], axis=1), axis=1))


def _first(x: Double, k: int, rng: np.random.Generator) -> Double:
    chosen = [x[rng.integers(len(x))]]
    distance = ((x - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < k:
        chosen.append(x[rng.choice(len(x), p=distance / distance.sum())])
        distance = np.minimum(distance, ((x - chosen[-1]) ** 2).sum(axis=1))
    return np.stack(chosen)

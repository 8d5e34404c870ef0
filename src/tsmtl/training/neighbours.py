"""Vectors in two dimensions by t-SNE, of scikit-learn."""

import numpy as np
import numpy.typing as npt

FEWEST = 5
PERPLEXITY = 30  # neighbours that count; fewer where there are not three times as many vectors
DIRECTIONS = 50  # principal components that distances are taken in


def neighbours_in_two(x: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """Give places (m, 2) for vectors (m, k) that keep near ones near (van der Maaten and Hinton 2008).

    Args:
        x: :data:`FEWEST` vectors at least, not all alike.
        seed: Of what is drawn.
    """
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    # Near ones are near at any scale; in single precision squares of the largest, and differences, get lost at others.
    centred = x - x.mean(axis=0)
    scaled = (centred / np.abs(centred).max()).astype(np.float32)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)
    return np.asarray(found, dtype=np.float64)

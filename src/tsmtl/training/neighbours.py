"""Vectors in two dimensions by t-SNE, of scikit-learn."""

import numpy as np
import numpy.typing as npt

FEWEST = 5
PERPLEXITY = 30  # neighbours that count; fewer where there are not three times as many vectors
DIRECTIONS = 50  # principal components that distances are taken in


def neighbours_in_two(x: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """Give places (m, 2) for vectors (m, k) that keep near ones near (van der Maaten and Hinton 2008).

    Args:
        x: :data:`FEWEST` vectors at least.
        seed: Of what is drawn.
    """
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(x.astype(np.float32))
    return np.asarray(found, dtype=np.float64)

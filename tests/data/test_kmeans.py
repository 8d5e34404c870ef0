import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from tsmtl.data.kmeans import kmeans, nearest


@pytest.mark.parametrize(("k", "dimensions"), [(2, 1), (3, 2), (6, 3)])
def test_well_separated_clusters_get_the_centres_of_scikit_learn(k, dimensions):
    rng = np.random.default_rng(k)
    middles = rng.permutation(np.arange(k))[:, None] * 10.0 + rng.normal(size=(k, dimensions))
    x = np.repeat(middles, 40, axis=0) + rng.normal(scale=0.3, size=(40 * k, dimensions))
    reference = KMeans(k, n_init=10, random_state=0).fit(x).cluster_centers_
    found = kmeans(rng.permutation(x), k, np.random.default_rng(0))
    np.testing.assert_allclose(found, reference[np.lexsort(reference.T[::-1])], rtol=1e-9)
    assert adjusted_rand_score(np.repeat(np.arange(k), 40), nearest(x, found)) == 1


def test_clusters_that_touch_are_about_as_tight_as_those_of_scikit_learn():
    x = np.random.default_rng(3).normal(size=(300, 2))
    inertia = KMeans(5, n_init=10, random_state=0).fit(x).inertia_
    centres = kmeans(x, 5, np.random.default_rng(0))
    assert ((x - centres[nearest(x, centres)]) ** 2).sum() <= 1.02 * inertia


def test_the_same_seed_gives_the_same_centres_and_fewer_rows_than_centres_are_refused():
    x = np.random.default_rng(3).normal(size=(50, 2))
    np.testing.assert_array_equal(kmeans(x, 4, np.random.default_rng(7)), kmeans(x, 4, np.random.default_rng(7)))
    with pytest.raises(ValueError, match="fewer than 3 different rows"):
        kmeans(np.array([[1.0], [2.0], [1.0], [2.0]]), 3, np.random.default_rng(0))
    assert kmeans(np.array([[2.0], [1.0], [1.0]]), 2, np.random.default_rng(0)).tolist() == [[1], [2]]


def test_a_part_of_many_rows_is_enough(monkeypatch):
    monkeypatch.setattr("tsmtl.data.kmeans.MOST_ROWS", 100)
    x = np.repeat([[0.0], [10.0], [20.0]], 1000, axis=0)
    assert kmeans(x, 3, np.random.default_rng(0)).tolist() == [[0], [10], [20]]

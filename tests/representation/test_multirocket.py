"""MultiRocket's poolings beside aeon's, and beside a plain count."""

import numpy as np
import pytest

from tests.representation.test_minirocket import convolutions_of
from tsmtl.representation.poolings import FOUR, four_pools, longest_stretch


def test_the_poolings_by_hand():
    outputs = np.array([[2.0], [3.0], [-1.0], [4.0], [5.0], [6.0], [-2.0]], np.float32)
    ppv, lspv, mpv, mipv = four_pools(outputs[None], np.array([[0.5]], np.float32))[:, 0, 0, 0]
    assert ppv == np.float32(5 / 7)
    assert lspv == 4  # from step 2 to step 6
    assert mpv == np.float32((2 + 3 + 4 + 5 + 6) / 5 + 0.5)
    assert mipv == np.float32((0 + 1 + 3 + 4 + 5) / 5)


def test_nothing_above_the_bias_has_no_place():
    found = four_pools(np.zeros((1, 6, 2), np.float32), np.array([[1.0]], np.float32))
    assert found[:, 0, 0, 0].tolist() == [0, 1, 0, -1]


def test_the_ends_end_a_stretch():
    outputs, bias = np.ones((1, 8, 1), np.float32), np.array([[0.0]], np.float32)
    assert longest_stretch(outputs, bias).item() == 7
    outputs[:, 5] = -1
    assert longest_stretch(outputs, bias).item() == 5


def test_long_series_are_pooled_as_counted_one_by_one():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(2, 700, 3)).astype(np.float32)
    outputs[1, 100:500] += 5  # a stretch that a byte cannot count
    biases = np.array([[0.0, 0.5, -1.0], [0.1, 2.0, 30.0]], np.float32)
    found = four_pools(outputs, biases)
    for k, q, i in np.ndindex(2, 3, 3):
        series, bias = outputs[k, :, i].astype(float), float(biases[k, q])
        above, below = np.flatnonzero(series > bias), [0, *np.flatnonzero(series < bias), 699]
        expected = [len(above) / 700, max(np.diff(below)), 0, -1]
        if len(above):
            expected[2:] = [(series[above] + bias).mean(), above.mean()]
        np.testing.assert_allclose(found[:, k, q, i], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("aeon_in_python")
def test_features_are_those_of_aeon_with_its_dilations_channels_and_biases():
    from aeon.datasets import load_basic_motions
    from aeon.transformations.collection.convolution_based import MultiRocket as OfAeon
    from aeon.transformations.collection.convolution_based import _multirocket

    x = load_basic_motions(split="train")[0].astype(np.float32)[:20]
    theirs = OfAeon(n_kernels=500, random_state=0)
    theirs.fit(x)
    # Of differences aeon takes the length of the series, and so shifts four of the nine taps by one step; that its
    # own kernels do as ours is seen where it is given the differences as the series.
    for values, parameters in ((x, theirs.parameter), (np.diff(x), theirs.parameter1)):
        both = (values, np.diff(values), parameters, theirs.parameter1)
        whole = _multirocket._transform_multi(*both, 4, OfAeon._indices, 0)
        expected = whole[:, : 4 * len(parameters[-1])]
        ours = convolutions_of(parameters, x.shape[1]).pooled(values, FOUR)
        close = np.isclose(ours, expected, rtol=1e-4, atol=1e-5)
        assert close.mean() > 0.9999


def test_the_features_come_series_first_then_differences(fitted, series):
    method = fitted("multirocket", series)
    names = method.names
    assert names[0] == "series ppv1"
    assert names[len(names) // 2] == "differences ppv1"
    assert len(names) == 1344  # 1400 rounded down to kernels, poolings, series and differences

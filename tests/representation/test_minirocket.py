"""MiniRocket beside aeon's, and beside a plain count."""

from itertools import combinations

import numpy as np
import pytest

from tsmtl.representation.convolutions import Convolutions, dilations_of, golden_quantiles
from tsmtl.representation.minirocket import MiniRocket
from tsmtl.representation.poolings import SHARE, share_above

KERNELS = list(combinations(range(9), 3))


def convolutions_of(parameters, n_channels):
    """Give kernels with the parameters that a transform of aeon's has fitted."""
    *of_channels, dilations, counts, biases = parameters
    n = np.ones(84 * len(dilations), int) if not of_channels else of_channels[0]
    channels = np.zeros(len(n), int) if not of_channels else of_channels[1]
    ends = np.cumsum(n)
    chosen = tuple(tuple(channels[end - k : end].tolist()) for end, k in zip(ends, n, strict=True))
    assert n_channels > max(max(c) for c in chosen)
    return Convolutions(np.asarray(dilations, np.int32), np.asarray(counts, np.int32), chosen, biases)


def outputs_by_hand(x, kernel, dilation, padded):
    """Convolve one series (T,) as the paper defines it."""
    weights = [2 if tap in kernel else -1 for tap in range(9)]
    steps = len(x)
    places = range(steps) if padded else range(4 * dilation, steps - 4 * dilation)
    at = lambda t: x[t] if 0 <= t < steps else 0.0  # noqa: E731
    return np.array([sum(w * at(t + (tap - 4) * dilation) for tap, w in enumerate(weights)) for t in places])


def test_a_feature_is_the_share_of_outputs_above_the_bias():
    x = np.random.default_rng(0).normal(size=(2, 3, 30)).astype(np.float32)
    dilations, counts = np.array([1, 3], np.int32), np.array([2, 1], np.int32)
    channels = tuple((k % 3,) if k % 2 else (0, 2) for k in range(168))
    biases = np.random.default_rng(1).normal(size=84 * 3).astype(np.float32)
    found = Convolutions(dilations, counts, channels, biases).pooled(x, SHARE)
    at = 0
    for d, (dilation, count) in enumerate(zip(dilations, counts, strict=True)):
        for k, kernel in enumerate(KERNELS):
            padded = (d + k) % 2 == 0
            for bias in biases[at : at + count]:
                for i in range(2):
                    summed = x[i, list(channels[84 * d + k])].sum(axis=0).astype(float)
                    expected = (outputs_by_hand(summed, kernel, dilation, padded) > bias).mean()
                    assert found[i, at] == pytest.approx(expected, abs=1e-6), (dilation, kernel)
                at += 1
    assert at == found.shape[1]


@pytest.mark.usefixtures("aeon_in_python")
@pytest.mark.parametrize("name", ["basic_motions", "arrow_head"])
def test_features_are_those_of_aeon_with_its_dilations_channels_and_biases(name):
    import aeon.datasets
    from aeon.transformations.collection.convolution_based import MiniRocket as OfAeon

    load = getattr(aeon.datasets, f"load_{name}")
    train, test = (np.asarray(load(split=split)[0], np.float32) for split in ("train", "test"))
    test = test[:40]
    theirs = OfAeon(n_kernels=2000, random_state=0)
    theirs.fit(train)
    expected = theirs.transform(test)
    ours = convolutions_of(theirs.parameters, train.shape[1]).pooled(test, SHARE)
    # Sums may be in another order: an output that is the bias but for its last bit falls on the other side.
    same = np.abs(ours - expected) < 1e-6
    assert same.mean() > 0.9999
    assert np.abs(ours - expected).max() < 1.5 / (test.shape[2] * 0.2)


@pytest.mark.parametrize(("steps", "n_features"), [(9, 84), (40, 1000), (100, 10_000), (251, 10_000), (5000, 9996)])
def test_dilations_and_their_biases_are_those_of_aeon(steps, n_features):
    from aeon.transformations.collection.convolution_based import _minirocket

    for found, expected in zip(
        dilations_of(steps, n_features, 32), _minirocket._fit_dilations(steps, n_features, 32), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(golden_quantiles(500), _minirocket._quantiles(500), atol=1e-7)


def test_biases_are_quantiles_of_outputs_on_train_series(fitted):
    x = np.random.default_rng(0).normal(size=(1, 1, 30)).astype(np.float32)  # one series: every bias is its own
    method = fitted("minirocket", x)
    fit = method.convolutions
    starts = np.concatenate([[0], np.cumsum(np.repeat(fit.counts, 84))])
    quantiles = golden_quantiles(len(fit.biases))
    for at in (0, 5, 90, 160):
        own = slice(starts[at], starts[at + 1])
        outputs = outputs_by_hand(x[0, 0].astype(float), KERNELS[at % 84], int(fit.dilations[at // 84]), True)
        np.testing.assert_allclose(fit.biases[own], np.quantile(outputs, quantiles[own]), rtol=1e-4, atol=1e-5)


def test_counts_above_a_byte_are_right():
    outputs = np.ones((2, 1000, 3), np.float32)
    outputs[1, ::3, 1] = -1
    found = share_above(outputs, np.array([[0.0, 2.0], [2.0, 0.0]], np.float32))
    np.testing.assert_array_equal(found[0, 0], [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(found[0, 1], [[0, 0, 0], [1, 666 / 1000, 1]], rtol=1e-6)


def test_threads_do_not_move_a_bit(fitted, series):
    import torch

    method = fitted("minirocket", series)
    alone = method.transform(series)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        np.testing.assert_array_equal(method.transform(series), alone)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["basic_motions", "arrow_head"])
def test_ridge_on_the_features_is_as_accurate_as_on_those_of_aeon(name):
    import aeon.datasets
    from aeon.transformations.collection.convolution_based import MiniRocket as OfAeon
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from tests.representation.conftest import train_of

    load = getattr(aeon.datasets, f"load_{name}")
    (train, y), (test, truth) = (load(split=split) for split in ("train", "test"))
    train, test = train.astype(np.float32), test.astype(np.float32)
    scores: dict[str, list[float]] = {"ours": [], "aeon": []}
    for seed in range(5):
        ours = MiniRocket(10_000, 32)
        ours.fit(train_of(train), seed)
        theirs = OfAeon(random_state=seed).fit(train)
        for who, method in (("ours", ours), ("aeon", theirs)):
            ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
            scores[who].append(ridge.fit(method.transform(train), y).score(method.transform(test), truth))
    assert abs(np.mean(scores["ours"]) - np.mean(scores["aeon"])) <= 0.01, scores

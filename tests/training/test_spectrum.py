"""Ridge regression and principal components beside scikit-learn, wide and long."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

import tsmtl.training.spectrum as spectrum_module
from tsmtl.training.spectrum import Spectrum


@pytest.fixture(params=[(40, 7), (20, 60)], ids=["long", "wide"])
def data(request):
    n, e = request.param
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(n + 15, e)) * rng.uniform(0.5, 3, e) + 5).astype(np.float32)
    y = x[:, :2] @ np.array([[1.0, 0.5], [-2.0, 1.0]]) + rng.normal(size=(n + 15, 2))
    return x[:n], x[n:], y[:n], y[n:]


def of(x, new):
    """Give the spectrum of vectors behind new ones, and the places of these."""
    every = torch.from_numpy(np.concatenate([new, x]))
    return Spectrum.of(every, torch.arange(len(new), len(every))), torch.arange(len(new))


@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("block", [2**24, 100])
def test_ridge_is_that_of_scikit_learn(data, monkeypatch, alpha, block):
    monkeypatch.setattr(spectrum_module, "BLOCK", block)
    x, new, y, _ = data
    spectrum, others = of(x, new)
    found = spectrum.ridge(torch.from_numpy(y), spectrum.rotated(others), alpha)
    expected = Ridge(alpha=alpha).fit(x.astype(float), y).predict(new.astype(float))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_coordinates_are_the_principal_components_of_scikit_learn(data):
    x, new, *_ = data
    spectrum, others = of(x, new)
    found = spectrum.coordinates(spectrum.rotated(others)).numpy()
    expected = PCA(2, svd_solver="full").fit(x.astype(float)).transform(new.astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5, atol=1e-6)  # each has two signs


def test_components_are_those_that_are_not_rounding(data):
    x, new, *_ = data
    spectrum, others = of(np.concatenate([x, x[:, :1]], axis=1), np.concatenate([new, new[:, :1]], axis=1))
    rank = min(x.shape[1], len(x) - 1)
    found = spectrum.components(spectrum.rotated(others), 10_000).numpy()
    expected = PCA(rank, svd_solver="full").fit(np.concatenate([x, x[:, :1]], axis=1).astype(float))
    wanted = expected.transform(np.concatenate([new, new[:, :1]], axis=1).astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), rtol=1e-4, atol=1e-5)
    own = spectrum.components(spectrum.own, 10_000)
    np.testing.assert_allclose(own, spectrum.components(spectrum.rotated(spectrum.rows), 10_000), rtol=1e-6, atol=1e-6)


def test_of_many_vectors_some_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(spectrum_module, "MOST", 5)
    x = torch.arange(54.0).reshape(9, 6)
    assert Spectrum.of(x, torch.arange(9)).rows.tolist() == [0, 2, 4, 6, 8]


def test_one_feature_has_a_second_coordinate_of_0():
    spectrum = Spectrum.of(torch.tensor([0.0, 1, 2, 3, 4, 1, 1, 1])[:, None], torch.arange(5))
    assert spectrum.coordinates(spectrum.rotated(torch.arange(5, 8)))[:, 1].tolist() == [0, 0, 0]

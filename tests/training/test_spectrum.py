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


@pytest.mark.parametrize("alpha", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("block", [2**24, 100])
def test_ridge_is_that_of_scikit_learn(data, monkeypatch, alpha, block):
    monkeypatch.setattr(spectrum_module, "BLOCK", block)
    x, new, y, _ = data
    spectrum = Spectrum.of(torch.from_numpy(x))
    found = spectrum.ridge(torch.from_numpy(y), spectrum.rotated(torch.from_numpy(new)), alpha)
    expected = Ridge(alpha=alpha).fit(x.astype(float), y).predict(new.astype(float))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_coordinates_are_the_principal_components_of_scikit_learn(data):
    x, new, *_ = data
    spectrum = Spectrum.of(torch.from_numpy(x))
    found = spectrum.coordinates(spectrum.rotated(torch.from_numpy(new))).numpy()
    expected = PCA(2, svd_solver="full").fit(x.astype(float)).transform(new.astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-5, atol=1e-6)  # each has two signs


def test_of_many_vectors_some_are_taken_evenly(monkeypatch):
    monkeypatch.setattr(spectrum_module, "MOST", 5)
    x = torch.arange(54.0).reshape(9, 6)
    assert Spectrum.of(x).x[:, 0].tolist() == [0, 12, 24, 36, 48]


def test_one_feature_has_a_second_coordinate_of_0():
    spectrum = Spectrum.of(torch.arange(5.0)[:, None])
    assert spectrum.coordinates(spectrum.rotated(torch.ones(3, 1)))[:, 1].tolist() == [0, 0, 0]

"""``representation=catch22``: aeon's features, named, and what is said without aeon."""

import sys

import numpy as np
import pytest

from tests.representation.conftest import small


def test_features_are_those_of_aeon(fitted, series):
    from aeon.transformations.collection.feature_based import Catch22

    method = fitted("catch22", series)
    expected = Catch22(catch24=True, replace_nans=True).fit_transform(series.astype(np.float64))
    np.testing.assert_allclose(method.transform(series), expected, rtol=1e-6)
    named = dict(zip(method.names, method.transform(series).T, strict=True))
    np.testing.assert_allclose(named["s2 mean"], series[:, 1].mean(axis=1), rtol=1e-4, atol=1e-6)


def test_without_aeon_the_install_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon.transformations.collection.feature_based", None)
    with pytest.raises(ValueError, match=r"catch22 needs aeon: pip install 'tsmtl\[archive\]'"):
        small("catch22")

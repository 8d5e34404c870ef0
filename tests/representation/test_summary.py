"""``representation=summary`` beside SciPy, NumPy and hand counts."""

import numpy as np
import pytest
import scipy.stats

from tsmtl.representation.summary import Summary

EACH = 15  # statistics of a channel, with 5 quantiles and no bands


def features(x, **settings):
    """Give the features of one channel by name."""
    method = Summary(**{"quantiles": [0.05, 0.25, 0.5, 0.75, 0.95], "bands": 0} | settings)
    method.load_state({"channels": ["s"]})
    names = [name.removeprefix("s ") for name in method.names]
    return dict(zip(names, method.transform(np.asarray(x, np.float32)[:, None]).T, strict=True))


def test_moments_and_quantiles_are_those_of_scipy_and_numpy():
    x = np.random.default_rng(0).gamma(2.0, size=(6, 50)).astype(np.float32)
    found = features(x)
    assert len(found) == EACH
    expected = {
        "mean": x.mean(1),
        "sd": x.std(1),
        "skewness": scipy.stats.skew(x.astype(float), axis=1),
        "kurtosis": scipy.stats.kurtosis(x.astype(float), axis=1),
        "min": x.min(1),
        "max": x.max(1),
        **{f"q{q:g}": np.quantile(x, q, axis=1) for q in (0.05, 0.25, 0.5, 0.75, 0.95)},
        "slope": np.polyfit(np.arange(50), x.T.astype(float), 1)[0],
        "step": np.abs(np.diff(x)).mean(1),
        "missing": np.zeros(6),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=1e-6, err_msg=name)


def test_missing_values_are_left_out_and_counted():
    x = np.random.default_rng(1).normal(size=(4, 40)).astype(np.float32)
    x[:, ::4] = np.nan
    found = features(x)
    np.testing.assert_allclose(found["missing"], 0.25)
    np.testing.assert_allclose(found["mean"], np.nanmean(x, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found["q0.25"], np.nanquantile(x, 0.25, axis=1), rtol=1e-5)
    known = np.arange(40) % 4 > 0
    slopes = [np.polyfit(np.flatnonzero(known), row[known].astype(float), 1)[0] for row in x]
    np.testing.assert_allclose(found["slope"], slopes, rtol=1e-4, atol=1e-7)


def test_a_channel_without_any_value_is_0_and_missing():
    found = features(np.full((2, 10), np.nan))
    assert found.pop("missing").tolist() == [1, 1]
    assert all((values == 0).all() for values in found.values())


def test_what_a_constant_does_not_define_is_0():
    found = features(np.full((1, 30), 0.1))
    assert found["mean"] == pytest.approx(0.1)
    assert [found[name].item() for name in ("sd", "skewness", "kurtosis", "slope", "lag1", "step")] == [0] * 6


def test_neighbours_that_alternate_have_the_autocorrelation_minus_one():
    found = features(np.tile([1.0, -1.0], 50)[None])
    assert found["lag1"].item() == pytest.approx(-0.99)  # 99 of 100 products of neighbours
    assert found["step"].item() == 2


@pytest.mark.parametrize(("cycles", "band"), [(3, 1), (14, 2), (40, 4), (50, 4)])
def test_the_power_of_a_sine_is_in_its_band(cycles, band):
    x = np.cos(2 * np.pi * cycles * np.arange(100) / 100)  # of 100 steps: bands end at 12.5, 25, 37.5 and 50 cycles
    found = features(x[None], bands=4)
    shares = [found[f"band{b}"].item() for b in (1, 2, 3, 4)]
    assert shares == pytest.approx([float(b == band) for b in (1, 2, 3, 4)], abs=1e-6)

"""What single precision cannot hold is refused; what it can is taken as it is."""

import numpy as np
import pytest

from tsmtl.config.errors import UserError
from tsmtl.data.single import as_single


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(101_300, 101_400, 50),  # a pressure in Pa: steps of 0.008
        np.arange(1000, dtype=np.int64),
        np.array([0, 2**24], dtype=np.int64),
        np.full(5, 1.7e9),  # constant: there is nothing to lose
        np.array([np.nan, 1.0, 2.0]),
        np.array([1e-30, 2e-30]),
    ],
)
def test_numbers_that_keep_their_differences_are_taken(values):
    single = as_single(values[:, None], "x.npz: 'y'")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single[:, 0], values, rtol=1e-7)


def test_times_of_one_hour_since_1970_are_refused_with_their_column():
    values = np.stack([np.zeros(60), 1.7e9 + np.arange(60)], axis=1)
    with pytest.raises(UserError) as error:
        as_single(values, "x.npz: 'X'")
    assert error.value.lines == [
        "x.npz: 'X' column 1: lies between 1.7e+09 and 1.70000006e+09, and single precision has steps of 128 there; "
        "subtract an offset from it first"
    ]


def test_channels_of_series_are_told_apart():
    x = np.zeros((4, 3, 5))
    x[:, 2] = 1e12 + np.arange(20).reshape(4, 5)
    with pytest.raises(UserError, match="column 2: lies between"):
        as_single(x, "x.npz: 'X'")


def test_what_is_single_already_is_not_looked_at():
    values = np.array([[1.7e9], [1.7e9 + 128]], dtype=np.float32)
    assert as_single(values, "x") is values


@pytest.mark.parametrize("shape", [(0, 3, 5), (0, 2), (4, 3, 0)])
def test_nothing_stays_nothing(shape):
    assert as_single(np.zeros(shape), "x").shape == shape

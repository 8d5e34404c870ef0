"""What a caller has becomes the numbers that a model reads, or is refused in one line."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tsmtl.config.errors import UserError
from tsmtl.data.contract import InputContract

CONTRACT = InputContract("series", ["a", "b"], 3, False, "interpolate", takes_lengths=True, shortest=1)
X = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
HIDDEN = np.zeros(X.shape, dtype=bool)
HIDDEN[1, 0, 2] = True
DAYS = X.astype("datetime64[D]")
FORMS = {
    "double": lambda x: x.astype(np.float64),
    "the other byte order": lambda x: x.astype(">f4"),
    "columns first": np.asfortranarray,
    "read only": lambda x: np.broadcast_to(x, x.shape),
    "masked nowhere": lambda x: np.ma.array(x, mask=False),
    "list of series": list,
    "tuple of series": tuple,
    "list of lists of channels": lambda x: [list(series) for series in x],
    "list of numbers": lambda x: x.tolist(),
    "list of single numbers": lambda x: [[list(channel) for channel in series] for series in x],
    "tensor": lambda x: torch.tensor(x),
    "double tensor": lambda x: torch.tensor(x, dtype=torch.float64),
    "tensor with a gradient": lambda x: torch.tensor(x, requires_grad=True),
    "result with a gradient": lambda x: torch.tensor(x, requires_grad=True) * 1,
    "sparse tensor": lambda x: torch.tensor(x).to_sparse(),
    "list of tensors with a gradient": lambda x: list(torch.tensor(x, requires_grad=True)),
    "list of lists of tensors": lambda x: [list(series) for series in torch.tensor(x, requires_grad=True)],
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20)
@given(x=arrays.arrays(np.float32, (3, 2, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_form_of_an_array_is_read_as_the_array(form, x):
    found, lengths = CONTRACT.check(FORMS[form](x), None)
    assert found.dtype == np.float32
    assert lengths is None
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.bool])
def test_tensors_of_other_types_have_the_same_numbers(dtype):
    x = torch.tensor(X).to(dtype)
    for form in (x, list(x)):
        np.testing.assert_array_equal(CONTRACT.check(form, None)[0], x.float().numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("form", [lambda x: x, list, lambda x: [list(series) for series in x]])
def test_what_a_mask_hides_is_missing(dtype, form):
    x = np.where(HIDDEN, -999, X * 100).astype(dtype)
    found, _ = CONTRACT.check(form(np.ma.array(x, mask=HIDDEN)), None)
    np.testing.assert_array_equal(found, np.where(HIDDEN, np.nan, x.astype(np.float32)))


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (DAYS, "x: must hold numbers (got type datetime64[D])"),
        (list(DAYS), "x: instance 0: must hold numbers (got type datetime64[D])"),
        ([X[0], DAYS[1]], "x: instance 1: must hold numbers (got type datetime64[D])"),
        (np.ma.array(DAYS, mask=HIDDEN), "x: must hold numbers (got type datetime64[D])"),
        ([X[0], X[1].astype(str)], "x: instance 1: must hold numbers (got type <U32)"),
        (list(X + 1j), "x: instance 0: must hold numbers (got type complex64)"),
        (torch.tensor(X + 1j), "x: must hold numbers (got type complex64)"),
        ([X[0].astype(object)], "x: instance 0: must hold numbers (got type object)"),
        ([[["1", "2"], ["3", "4"]]], "x: instance 0: must hold numbers (got type <U1)"),
        ([[[1.0, None], [3.0, 4.0]]], "x: instance 0: must hold numbers (got type object)"),
        (["abc", "abd"], "x: instance 0: must hold numbers (got type <U3)"),
        ([None], "x: instance 0: must hold numbers (got type object)"),
        ([{}], "x: instance 0: must hold numbers (got type object)"),
        ([[[1.0, 2.0], [3.0]]], "x: instance 0: is no array of numbers (all input arrays must have the same shape)"),
        ([[[1.0, 2.0], 3.0]], "x: instance 0: is no array of numbers (all input arrays must have the same shape)"),
        ([[1.0, 2.0]], "x: a list must hold series of shape (C, T), one at least"),
        (b"abc", "x: a list must hold series of shape (C, T), one at least"),
        (range(3), "x: a list must hold series of shape (C, T), one at least"),
        ({"a": X}, "x: must be an array, or a list of series (got dict)"),
    ],
)
def test_what_holds_no_numbers_is_refused_in_one_line(x, line):
    with pytest.raises(UserError) as refusal:
        CONTRACT.check(x, None)
    assert refusal.value.lines == [line]


@pytest.mark.parametrize(
    ("x", "lengths", "line"),
    [
        (X[:0], np.array([], dtype=int), "x: is empty (shape (0, 2, 3))"),
        (X, ["3", "3", "3", "3"], "lengths: must hold numbers (got type <U1)"),
        (X, np.ma.array([3, 2, 3, 3], mask=[0, 1, 0, 0]), "lengths: must be whole numbers of shape (4,) (got float64 of"
         " shape (4,))"),
    ],
)  # fmt: skip
def test_lengths_that_are_none_are_refused_in_one_line(x, lengths, line):
    with pytest.raises(UserError) as refusal:
        CONTRACT.check(x, lengths)
    assert refusal.value.lines == [line]


def test_lengths_may_be_a_tensor():
    found, lengths = CONTRACT.check(X, torch.tensor([3, 2, 3, 1]))
    np.testing.assert_array_equal(found, X)
    assert lengths.tolist() == [3, 2, 3, 1]

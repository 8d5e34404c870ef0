import numpy as np
import pytest

from tsmtl.config.errors import UserError
from tsmtl.data.targets import class_target, class_word, number_target


@pytest.mark.parametrize(
    ("values", "ids", "names"),
    [
        (["walk", "run", "", "walk", "  "], [1, 0, -1, 1, -1], ["run", "walk"]),
        ([3, 7, -1, 3], [0, 1, -1, 0], ["3", "7"]),
        ([2.0, np.nan, 0.0, -1.0], [1, -1, 0, -1], ["0", "2"]),
        ([True, False, True], [1, 0, 1], ["0", "1"]),
        (np.array([200, 5], dtype=np.uint8), [1, 0], ["5", "200"]),
        ([[4], [9], [4]], [0, 1, 0], ["4", "9"]),
        ([10, 9, 100], [1, 0, 2], ["9", "10", "100"]),  # in the order of numbers, not of their text
        (["", ""], [-1, -1], []),
    ],
)
def test_classes_are_numbered_in_order_and_missing_ones_are_minus_one(values, ids, names):
    target = class_target("y", np.asarray(values), "file")
    assert target.ids.dtype == np.int64
    assert target.ids.tolist() == ids
    assert target.names == names
    assert target.labelled.tolist() == [i >= 0 for i in ids]


def test_named_ids_keep_their_numbers_though_some_never_occur():
    target = class_target("y", np.array([2.0, 0.0, np.nan]), "file", ["cold", "mild", "hot"])
    assert target.ids.tolist() == [2, 0, -1]
    assert target.names == ["cold", "mild", "hot"]


@pytest.mark.parametrize(
    ("values", "names", "parts"),
    [
        ([[0, 1], [1, 0]], None, ["file: 'y' must have one class per instance, shape (N,) (got (2, 2))"]),
        ([0.0, 1.0, 1.5], None, ["file: 'y' row 2 is 1.5, no class", "data.regression_target=y"]),
        ([0.0, np.inf], None, ["file: 'y' row 1 is inf, no class"]),
        ([0.0, 1e19], None, ["file: 'y' row 1 is 1e+19, no class"]),
        (np.uint64([1, 2**63]), None, ["file: 'y' row 1 is 9223372036854775808, beyond", "save such classes as texts"]),
        (np.uint64([2**64 - 1, 2]), None, ["file: 'y' row 0 is 18446744073709551615, beyond"]),
        ([1 + 2j], None, ["file: 'y' has type complex128; classes are texts or whole numbers"]),
        ([0, 1, 3], ["a", "b", "c"], ["file: 'y' row 2 is 3, but there are 3 class names for the ids 0 ... 2"]),
        ([0, -2], ["a", "b"], ["file: 'y' row 1 is -2, but there are 2 class names"]),
    ],
)
def test_a_column_that_holds_no_classes_is_refused(refuses, values, names, parts):
    with refuses(*parts):
        class_target("y", np.asarray(values), "file", names)


@pytest.mark.parametrize(
    ("values", "shape"), [([1, 2, 3], (3, 1)), ([[1.5, np.nan], [2.0, 3.0]], (2, 2)), ([True, False], (2, 1))]
)
def test_numbers_become_one_row_of_single_precision_per_instance(values, shape):
    target = number_target("z", np.asarray(values), "file", "bar")
    assert target.values.dtype == np.float32
    assert target.values.shape == shape
    assert target.unit == "bar"
    np.testing.assert_array_equal(target.values, np.asarray(values, dtype=float).reshape(shape))


def test_an_instance_is_labelled_while_one_of_its_numbers_is_there():
    target = number_target("z", np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]]), "file")
    assert target.labelled.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (["1", "two"], ["file: 'z' has type <U3, no numbers", "data.class_target=z"]),
        (np.zeros((2, 2, 2)), ["file: 'z' must have shape (N,) or (N, D) (got (2, 2, 2))"]),
        ([[0.0, 1.0], [2.0, -np.inf]], ["file: 'z' row 1, column 1 is infinite", "a missing number is NaN"]),
        ([0.0, 1e300], ["file: 'z' row 1, column 0 is infinite in single precision"]),
    ],
)
def test_a_column_that_holds_no_finite_numbers_is_refused(refuses, values, parts):
    with refuses(*parts):
        number_target("z", np.asarray(values), "file")


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(UserError, match="two classes of 'y' are named 'a'; give each a name of its own"):
        class_target("y", np.array([0, 1, 2]), "x.npz", ["a", "b", "a"])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *(("2.0", "2"), ("100.000", "100"), ("-3.", "-3"), ("True", "1"), ("FALSE", "0"), ("0.0", "0")),
        *(
            (text, text)
            for text in ("2", "100", "01", "01.0", "1e1", "+1", "1.50", "low", "", "1.2.0", "9" * 19, "\u0663")
        ),
    ],
)
def test_a_class_has_one_form_and_all_that_may_be_another_stays(text, word):
    assert class_word(text) == word

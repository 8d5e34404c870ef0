"""The classes of a file are found among those of a model by their names, or by their ids where ids have names."""

import numpy as np
import pytest

from tsmtl.data.stream import class_ids

NAMES = ("10", "2", "ok")


@pytest.mark.parametrize(
    ("values", "ids_have_names", "ids"),
    [
        (["ok", "10", "", "2", " ok "], False, [2, 0, -1, 1, 2]),
        ([10, 2, -1], False, [0, 1, -1]),
        ([10.0, np.nan, 2.0], False, [0, -1, 1]),
        ([2, 1, 0, -1], True, [2, 1, 0, -1]),  # whole numbers are places, though a class is called 2
        (["2", "ok", "0"], True, [1, 2, 0]),  # texts are names first
        (["2.0", "10.", "NaN"], False, [1, 0, -1]),
        (["1.0", "true", "False"], True, [1, 1, 0]),
    ],
)
def test_classes_are_found_by_name_or_by_id(values, ids_have_names, ids):
    assert class_ids(np.array(values), NAMES, ids_have_names, "f", range(9)).tolist() == ids


@pytest.mark.parametrize(
    ("values", "ids_have_names", "said"),
    [
        (["ok", "bad"], False, "f: instance 8: class 'bad' is unknown to the model (it has 10, 2, ok)"),
        ([2, 3], False, "f: instance 8: class '3' is unknown"),
        (["2", "02"], False, "f: instance 8: class '02' is unknown"),
        ([2, 3], True, "f: instance 8: class '3' is unknown"),
        ([2.0, 0.5], True, "f: instance 8: class '0.5' is unknown"),
    ],
)
def test_an_unknown_class_is_refused_with_its_instance(refuses, values, ids_have_names, said):
    with refuses(said):
        class_ids(np.array(values), NAMES, ids_have_names, "f", [7, 8])


def test_a_class_called_minus_one_is_no_missing_class():
    assert class_ids(np.array(["-1", "1", ""]), ("-1", "1"), False, "f", range(3)).tolist() == [0, 1, -1]


def test_blanks_are_part_of_a_class_where_the_model_learnt_them():
    names = ("bad ", "ok", "ok ")  # columns of a fixed width give such
    assert class_ids(np.array(["ok ", "ok", " ok", "bad "]), names, False, "f", range(4)).tolist() == [2, 1, 1, 0]

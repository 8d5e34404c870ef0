from dataclasses import replace

import numpy as np
import pytest

from tsmtl.data.checks import check_input, check_target, data_hash
from tsmtl.data.instances import BLOCK, Bundle, ClassTarget, Instances, NumberTarget

N = BLOCK + 100  # one block and a part of the next
SPLIT = {"train": np.arange(0, N - 200), "val": np.arange(N - 200, N - 100), "test": np.arange(N - 100, N)}


@pytest.fixture
def instances():
    rng = np.random.default_rng(0)
    targets = {
        "cls": ClassTarget("y", rng.integers(0, 3, N), ["a", "b", "c"]),
        "reg": NumberTarget("z", rng.normal(size=(N, 2)).astype(np.float32)),
    }
    return Instances(rng.normal(size=(N, 2, 5)).astype(np.float32), targets, "file", ["left", "right"])


def test_clean_input_needs_no_note(instances):
    assert check_input(instances, SPLIT, "error") == []


@pytest.mark.parametrize("row", [0, BLOCK - 1, BLOCK, N - 1])
def test_an_infinite_value_is_named_by_its_place_in_the_whole_input(instances, refuses, row):
    instances.x[row, 1, 4] = -np.inf
    with refuses(f"file: instance {row}, channel right, time step 4 is infinite"):
        check_input(instances, SPLIT, "interpolate")


def test_an_infinite_feature_of_a_vector_has_no_time_step(instances, refuses):
    vectors = replace(instances, x=instances.x[:, :, 0].copy())
    vectors.x[3, 0] = np.inf
    with refuses("file: instance 3, feature left is infinite in single precision; a missing value is NaN"):
        check_input(vectors, SPLIT, "interpolate")


def test_missing_values_are_counted_over_all_blocks_and_the_first_is_named(instances):
    instances.x[10, 1, 2:4] = np.nan
    instances.x[BLOCK + 3, 0, 0] = np.nan
    notes = check_input(instances, SPLIT, "mean")
    assert notes == [
        "3 missing input values, filled (data.missing=mean); the first: instance 10, channel right, time step 2"
    ]


def test_padding_is_neither_missing_nor_infinite(instances):
    lengths = np.full(N, 5)
    lengths[[4, BLOCK + 7]] = 3
    instances.x[4, :, 3:] = np.inf
    instances.x[BLOCK + 7, :, 3:] = np.nan
    padded = replace(instances, lengths=lengths)
    assert check_input(padded, SPLIT, "error") == []
    instances.x[BLOCK + 7, 0, 1] = np.nan
    (note,) = check_input(padded, SPLIT, "mean")
    assert note.startswith("1 missing input values, filled (data.missing=mean); the first: ")
    assert note.endswith(f"instance {BLOCK + 7}, channel left, time step 1")


def test_the_check_leaves_the_padding_as_it_was(instances):
    padded = replace(instances, lengths=np.full(N, 3))
    before = instances.x.copy()
    check_input(padded, SPLIT, "error")
    np.testing.assert_array_equal(instances.x, before)


def test_a_channel_constant_in_train_is_noted_though_it_moves_elsewhere(instances):
    instances.x[:, 0] = 3
    instances.x[SPLIT["test"], 0] = 4
    assert check_input(instances, SPLIT, "error") == ["1 constant in the train split and without information: left"]


def test_a_channel_with_values_in_test_alone_is_refused(instances, refuses):
    instances.x[:, 1] = np.nan
    instances.x[SPLIT["test"], 1] = 1
    with refuses("file: no value in the train split for channel right"):
        check_input(instances, SPLIT, "interpolate")


def test_missing_labels_are_counted_over_all_splits(instances):
    instances.targets["cls"].ids[[0, 1, N - 1]] = -1
    instances.targets["reg"].values[[5, 6]] = np.nan
    instances.targets["reg"].values[7, 0] = np.nan  # the other number of this instance is there
    notes = [check_target(instances, task, target, SPLIT) for task, target in instances.targets.items()]
    assert notes == [
        ["3 instances without a class 'y'; task cls learns from the others"],
        ["2 instances without a number 'z'; task reg learns from the others"],
    ]


def test_a_named_class_that_never_occurs_is_no_problem(instances):
    target = replace(instances.targets["cls"], names=["a", "b", "c", "never"])
    assert check_target(instances, "cls", target, SPLIT) == []


def copy_of(instances):
    targets = {
        name: replace(t, ids=t.ids.copy()) if isinstance(t, ClassTarget) else replace(t, values=t.values.copy())
        for name, t in instances.targets.items()
    }
    return replace(instances, x=instances.x.copy(), targets=targets)


def test_equal_data_have_an_equal_hash(instances):
    instances.x[0, 0, 0] = np.nan
    other = copy_of(instances)
    other = replace(other, x=np.asfortranarray(other.x))
    backwards = {name: SPLIT[name].copy() for name in reversed(SPLIT)}
    first = data_hash(Bundle(instances, SPLIT))
    assert data_hash(Bundle(other, backwards)) == first
    assert len(first) == 64


def _x(instances):
    instances.x[BLOCK + 1, 1, 4] = np.nextafter(instances.x[BLOCK + 1, 1, 4], np.float32(np.inf))


def _gap(instances):
    instances.x[3, 0, 0] = np.nan


def _class(instances):
    instances.targets["cls"].ids[N - 1] = (instances.targets["cls"].ids[N - 1] + 1) % 3


def _number(instances):
    instances.targets["reg"].values[5, 1] += 1


@pytest.mark.parametrize("change", [_x, _gap, _class, _number])
def test_one_changed_value_changes_the_hash(instances, change):
    before = data_hash(Bundle(instances, SPLIT))
    other = copy_of(instances)
    change(other)
    assert data_hash(Bundle(other, SPLIT)) != before
    assert data_hash(Bundle(instances, SPLIT)) == before


@pytest.mark.parametrize(
    "splits",
    [
        {**SPLIT, "train": SPLIT["train"][:-1]},
        {**SPLIT, "train": SPLIT["train"][:-1], "val": np.append(SPLIT["val"], SPLIT["train"][-1])},
        {**SPLIT, "val": SPLIT["test"], "test": SPLIT["val"]},
    ],
)
def test_another_split_changes_the_hash(instances, splits):
    assert data_hash(Bundle(instances, splits)) != data_hash(Bundle(instances, SPLIT))


def test_lengths_and_shape_enter_the_hash(instances):
    padded = [replace(instances, lengths=np.full(N, length)) for length in (5, 4)]
    folded = replace(instances, x=instances.x.reshape(N, 5, 2))
    hashes = {data_hash(Bundle(i, SPLIT)) for i in (instances, *padded, folded)}
    assert len(hashes) == 4

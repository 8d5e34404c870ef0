"""What is refused of the arrays of .npz files, and how to mend it."""

import numpy as np
import pytest

from tests.data.test_npz import family_of
from tsmtl.config.errors import UserError


def without(arrays, *names):
    return {name: array for name, array in arrays.items() if name not in names}


def set_at(name, place, value):
    def change(arrays):
        arrays[name] = arrays[name].astype(float)
        arrays[name][place] = value
        return arrays

    return change


def put(**new):
    return lambda arrays: {**arrays, **new}


def in_family(**sizes):
    return lambda arrays: family_of(arrays, sizes)


PART = np.repeat(["train", "val", "test"], [20, 10, 10])


REFUSED = {
    "input of another name": (
        put(x_raw=np.zeros(3)),
        {"input_key": "x_row"},
        ["data.npz: no array 'x_row' (data.input_key); it has X, y_cls, y_reg, x_raw", "did you mean 'x_raw'?"],
    ),
    "class of another name": (
        None,
        {"class_target": "y_class"},
        ["data.npz: no array 'y_class' (data.class_target)", "did you mean 'y_cls'?"],
    ),
    "number of another name": (None, {"regression_target": "q"}, ["no array 'q' (data.regression_target); it has X,"]),
    "channel names of another name": (None, {"channels_key": "c"}, ["no array 'c' (data.channels_key)"]),
    "class names of another name": (None, {"class_names_key": "k"}, ["no array 'k' (data.class_names_key)"]),
    "groups of another name": (None, {"group_key": "g"}, ["no array 'g' (data.group_key)"]),
    "lengths of another name": (None, {"lengths_key": "n"}, ["no array 'n' (data.lengths_key)"]),
    "split of another name": (None, {"split_key": "s"}, ["no array 's' (data.split_key)"]),
    "a shorter class": (
        put(y_cls=np.arange(39) % 3),
        {},
        ["data.npz: 'X' has 40 instances, 'y_cls' (data.class_target) has shape (39,)", "one row per instance"],
    ),
    "a longer number": (
        put(y_reg=np.zeros((41, 2))),
        {},
        ["'X' has 40 instances, 'y_reg' (data.regression_target) has shape (41, 2)"],
    ),
    "a single value as class": (put(y_cls=np.array(1)), {}, ["'y_cls' (data.class_target) has shape ()"]),
    "shorter groups": (put(g=np.arange(4)), {"group_key": "g"}, ["'g' (data.group_key) has shape (4,)"]),
    "two columns of groups": (put(g=np.zeros((40, 2))), {"group_key": "g"}, ["'g' must have shape (N,) (got (40, 2))"]),
    "a shorter split": (put(s=PART[:5]), {"split_key": "s"}, ["'s' (data.split_key) has shape (5,)"]),
    "text as input": (put(X=np.array([["a", "b"]] * 40)), {}, ["data.npz: 'X' has type <U1, no numbers"]),
    "four dimensions": (
        put(X=np.zeros((40, 2, 2, 2))),
        {},
        ["data.npz: 'X' must be series (N, C, T) or vectors (N, E) (got shape (40, 2, 2, 2))"],
    ),
    "one dimension": (put(X=np.zeros(40)), {}, ["'X' must be series (N, C, T) or vectors (N, E) (got shape (40,))"]),
    "no instance": (
        put(X=np.zeros((0, 2, 8)), y_cls=np.zeros(0, int), y_reg=np.zeros(0)),
        {},
        ["data.npz: no data in the input, its shape is (0, 2, 8)"],
    ),
    "no channel": (put(X=np.zeros((40, 0, 8))), {}, ["no data in the input, its shape is (40, 0, 8)"]),
    "no time step": (put(X=np.zeros((40, 2, 0))), {}, ["no data in the input, its shape is (40, 2, 0)"]),
    "infinite input": (
        set_at("X", (17, 1, 3), np.inf),
        {},
        ["data.npz: instance 17, channel channel_2, time step 3 is infinite", "a missing value is NaN"],
    ),
    "input too large for single precision": (
        set_at("X", (17, 0, 3), -1e300),
        {},
        ["data.npz: instance 17, channel channel_1, time step 3 is infinite"],
    ),
    "a channel without values": (
        set_at("X", (slice(None), 1), np.nan),
        {},
        ["data.npz: no value in the train split for channel channel_2", "leave it out of the input"],
    ),
    "missing input under missing=error": (
        set_at("X", ([5, 9], 1, 3), np.nan),
        {"missing": "error"},
        ["data.npz: 2 missing values, the first: instance 5, channel channel_2, time step 3 (data.missing=error)"],
    ),
    "an instance without values": (
        set_at("X", 11, np.nan),
        {},
        ["data.npz: instance 11 has no value at all; leave it out"],
    ),
    "one class only": (put(y_cls=np.full(40, 2)), {}, ["data.npz: 'y_cls' has one class only in the train split (2)"]),
    "a class that train never has": (
        put(part=PART, y_cls=np.where(PART == "test", 7, np.arange(40) % 2)),
        {"split_key": "part"},
        ["data.npz: 'y_cls' has classes in the test split that train never has (7)", "mend the split"],
    ),
    "a class of val alone": (
        put(part=PART, y_cls=np.where(PART == "val", "odd", np.where(np.arange(40) % 2, "a", "b"))),
        {"split_key": "part"},
        ["'y_cls' has classes in the val split that train never has (odd)"],
    ),
    "a fractional class": (
        set_at("y_cls", 6, 0.5),
        {},
        ["data.npz: 'y_cls' row 6 is 0.5, no class", "set data.regression_target=y_cls"],
    ),
    "an id beyond the class names": (
        put(k=np.array(["a", "b"])),
        {"class_names_key": "k"},
        ["data.npz: 'y_cls' row 2 is 2, but there are 2 class names for the ids 0 ... 1"],
    ),
    "class names for classes that are texts": (
        put(k=np.array(["a", "b", "c"]), y_cls=np.array(["x", "y", "z"])[np.arange(40) % 3]),
        {"class_names_key": "k"},
        ["data.npz: 'y_cls' holds texts, which name the classes themselves; leave out data.class_names_key"],
    ),
    "class names that are no list": (
        put(k=np.array("abc")),
        {"class_names_key": "k"},
        ["'k' (data.class_names_key) must be a list of names (got shape ())"],
    ),
    "one channel name too many": (
        put(c=np.array(["a", "b", "c"])),
        {"channels_key": "c"},
        ["data.npz: 'c' names 3 channels, the input has 2"],
    ),
    "text as number": (put(y_reg=np.array(["1"] * 40)), {}, ["'y_reg' has type <U1, no numbers", "data.class_target"]),
    "an infinite number": (
        set_at("y_reg", 13, -np.inf),
        {},
        ["data.npz: 'y_reg' row 13, column 0 is infinite", "a missing number is NaN"],
    ),
    "a constant number": (
        put(y_reg=np.full(40, 2.5)),
        {},
        ["data.npz: 'y_reg' has one value only in the train split (2.5)"],
    ),
    "a constant column of numbers": (
        put(y_reg=np.stack([np.arange(40), np.full(40, 3)], axis=1)),
        {},
        ["data.npz: 'y_reg' column 1 has one value only in the train split (3)"],
    ),
    "a column of numbers missing in train": (
        put(y_reg=np.stack([np.arange(40), np.full(40, np.nan)], axis=1)),
        {},
        ["data.npz: 'y_reg' column 1 is missing everywhere in the train split"],
    ),
    "no number at all": (put(y_reg=np.full(40, np.nan)), {}, ["'y_reg' is missing everywhere in the train split"]),
    "no number in test": (
        put(part=PART, y_reg=np.where(PART == "test", np.nan, np.arange(40))),
        {"split_key": "part"},
        ["data.npz: 'y_reg' is missing everywhere in the test split; task reg needs it there"],
    ),
    "no class in val": (
        put(part=PART, y_cls=np.where(PART == "val", -1, np.arange(40) % 2)),
        {"split_key": "part"},
        ["data.npz: 'y_cls' is missing everywhere in the val split; task cls needs it there"],
    ),
    "a length of zero": (
        put(n=np.where(np.arange(40) == 3, 0, 8)),
        {"lengths_key": "n"},
        ["data.npz: 'n' row 3 is 0; the series have 1 to 8 time steps"],
    ),
    "a length beyond the series": (
        put(n=np.where(np.arange(40) == 3, 9, 8)),
        {"lengths_key": "n"},
        ["data.npz: 'n' row 3 is 9; the series have 1 to 8 time steps"],
    ),
    "fractional lengths": (put(n=np.full(40, 7.5)), {"lengths_key": "n"}, ["'n' must hold one whole number per"]),
    "lengths of vectors": (
        put(X=np.ones((40, 3)), n=np.full(40, 3)),
        {"lengths_key": "n"},
        ["data.npz: vectors (N, E) have no lengths; leave out data.lengths_key"],
    ),
    "no given split": (None, {"split": "given"}, ["data.split=given, but the file has no X_train", "data.split_key"]),
    "a group split over a family": (
        in_family(train=30, test=10),
        {"split": "stratified"},
        ["data.npz: data.split=stratified, but the file gives the split itself (X_train, X_test); take", "given"],
    ),
    "a family without train": (in_family(val=30, test=10), {}, ["data.npz: has X_val, but no X_train"]),
    "a family whose input has a part more": (
        lambda arrays: without(family_of(arrays, {"train": 20, "val": 10, "test": 10}), "y_cls_val"),
        {},
        ["data.npz: no array 'y_cls_val' (data.class_target)"],
    ),
    "a family of different shapes": (
        lambda arrays: family_of(arrays, {"train": 30, "test": 10}) | {"X_test": np.zeros((10, 2, 7))},
        {},
        ["data.npz: the splits of 'X' differ in shape: X_train (30, 2, 8), X_test (10, 2, 7)"],
    ),
    "a family cut at another row": (  # 29 and 11 rows of classes are 40 too
        lambda arrays: (
            family_of(arrays, {"train": 30, "test": 10})
            | family_of({"y_cls": arrays["y_cls"]}, {"train": 29, "test": 11})
        ),
        {},
        ["data.npz: 'X_train' has 30 instances, 'y_cls_train' (data.class_target) has shape (29,)"],
    ),
}


@pytest.mark.parametrize(("change", "changes", "parts"), REFUSED.values(), ids=REFUSED)
def test_arrays_that_cannot_be_used_are_refused_with_file_key_and_mend(
    arrays, load_arrays, refuses, change, changes, parts
):
    with refuses(*parts):
        load_arrays(change(arrays) if change else arrays, **changes)


@pytest.mark.parametrize("word", ["train", "test", "valid"])
def test_the_array_of_a_split_beside_that_of_all_is_said_not_to_be_read(arrays, load_arrays, word):
    said = f"not read, as 'X' is there by itself: X_{word}"
    assert said in load_arrays({**arrays, f"X_{word}": arrays["X"][:9]}).notes
    assert not load_arrays({**arrays, "X_2": arrays["X"][:9]}).notes


def test_a_family_member_that_would_not_be_read_is_named(arrays, load_arrays):
    parts = family_of(arrays, {"train": 30, "test": 10})
    parts["X_valid"] = parts["X_test"]
    with pytest.raises(UserError, match="the array X_valid would not be read; the splits are called"):
        load_arrays(parts)

"""What is read of .npz files: arrays under any names, families of splits, targets, lengths and groups."""

import numpy as np
import pytest

from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS
from tsmtl.data.loading import load_bundle

BOTH = {"cls": "cls", "reg": "reg"}


def family_of(arrays, sizes):
    """Cut every array into a family, ``sizes`` rows by split."""
    ends = np.cumsum(list(sizes.values()))
    return {
        f"{name}_{split}": array[end - size : end]
        for name, array in arrays.items()
        for (split, size), end in zip(sizes.items(), ends, strict=True)
    }


def test_arrays_of_any_name_are_read_as_the_settings_name_them(arrays, load_arrays):
    renamed = {"signal/raw": arrays["X"], "fault type": arrays["y_cls"], "0": arrays["y_reg"]}
    bundle = load_arrays(
        renamed, input_key="signal/raw", class_target="fault type", regression_target=0, regression_unit="mm"
    )
    instances = bundle.instances
    np.testing.assert_array_equal(instances.x, arrays["X"])
    np.testing.assert_array_equal(instances.targets["cls"].ids, arrays["y_cls"])
    np.testing.assert_array_equal(instances.targets["reg"].values[:, 0], arrays["y_reg"].astype(np.float32))
    assert instances.targets["cls"].names == ["0", "1", "2"]
    assert (instances.targets["cls"].key, instances.targets["reg"].key) == ("fault type", "0")
    assert instances.targets["reg"].unit == "mm"
    assert instances.channels == ["channel_1", "channel_2"]


@pytest.mark.parametrize("tasks", [("cls",), ("reg",)])
def test_a_target_that_no_task_needs_is_not_read(arrays, load_arrays, tasks):
    unread = "y_reg" if tasks == ("cls",) else "y_cls"
    arrays[unread] = np.full(40, np.inf)
    assert set(load_arrays(arrays, tasks).instances.targets) == set(tasks)


@pytest.mark.parametrize("dtype", [np.float64, np.int16, np.uint8, bool])
def test_input_of_any_number_type_becomes_single_precision(arrays, load_arrays, dtype):
    arrays["X"] = (10 + 5 * arrays["X"]).astype(dtype) if dtype is not bool else arrays["X"] > 0
    x = load_arrays(arrays).instances.x
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, arrays["X"].astype(np.float32))


def test_vectors_have_features_for_channels(arrays, load_arrays):
    arrays["X"] = arrays["X"][:, :, 0]
    instances = load_arrays(arrays).instances
    assert instances.x.shape == (40, 2)
    assert instances.channels == ["feature_1", "feature_2"]


@pytest.mark.parametrize(
    "sizes", [{"train": 24, "val": 6, "test": 10}, {"train": 30, "test": 10}, {"train": 30, "val": 10}, {"train": 40}]
)
@pytest.mark.parametrize("split", ["auto", "given"])
def test_a_family_is_its_own_split_and_what_it_lacks_is_carved_from_train(arrays, load_arrays, sizes, split):
    bundle = load_arrays(family_of(arrays, sizes), split=split)
    np.testing.assert_array_equal(bundle.instances.x, arrays["X"])
    np.testing.assert_array_equal(bundle.instances.targets["cls"].ids, arrays["y_cls"])
    starts = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    for name in SPLITS:
        part = name if name in sizes else "train"
        inside = range(starts[part], starts[part] + sizes[part])
        assert len(bundle.splits[name])
        assert set(bundle.splits[name]) <= set(inside)
        if name in sizes and name != "train":
            np.testing.assert_array_equal(bundle.splits[name], inside)
    np.testing.assert_array_equal(np.sort(np.concatenate(list(bundle.splits.values()))), np.arange(40))


def test_a_family_of_text_classes_of_different_widths_keeps_every_letter(arrays, load_arrays):
    arrays["y_cls"] = np.array(["a", "b"] * 15 + ["b", "a"] * 5)
    family = family_of(arrays, {"train": 30, "test": 10})
    family["y_cls_train"] = np.where(family["y_cls_train"] == "a", "long name", "b")
    family["y_cls_test"] = np.where(family["y_cls_test"] == "a", "long name", "b")
    family["y_cls_test"] = np.array(["b"] * 10)  # <U1 beside <U9
    target = load_arrays(family).instances.targets["cls"]
    assert target.names == ["b", "long name"]
    assert [target.names[i] for i in target.ids[30:]] == ["b"] * 10


def test_the_array_itself_wins_over_its_family(arrays, load_arrays):
    bundle = load_arrays({**arrays, "X_train": arrays["X"][:5] * 100})
    np.testing.assert_array_equal(bundle.instances.x, arrays["X"])


def test_a_split_array_and_folds_give_the_split(arrays, load_arrays):
    arrays["part"] = np.repeat([3, 1, 2, 5], 10)
    splits = load_arrays(arrays, split_key="part", test_fold=[1, 5], val_fold=2).splits
    assert {name: rows.tolist() for name, rows in splits.items()} == {
        "train": [*range(10)],
        "val": [*range(20, 30)],
        "test": [*range(10, 20), *range(30, 40)],
    }


@pytest.mark.parametrize("split", ["auto", "group"])
def test_the_group_array_keeps_groups_together(arrays, load_arrays, split):
    arrays["subject"] = np.char.add("s", (np.arange(40) // 4).astype(str))
    bundle = load_arrays(arrays, group_key="subject", split=split)
    sides = [set(arrays["subject"][rows]) for rows in bundle.splits.values()]
    assert sum(len(side) for side in sides) == 10
    assert all(sides)


def test_lengths_channels_and_class_names_come_from_their_arrays(arrays, load_arrays):
    arrays |= {"n": np.arange(40) % 8 + 1, "sensors": np.array(["ax", "ay"]), "kinds": np.array(["ok", "worn", "out"])}
    instances = load_arrays(arrays, lengths_key="n", channels_key="sensors", class_names_key="kinds").instances
    np.testing.assert_array_equal(instances.lengths, arrays["n"])
    assert instances.lengths.dtype == np.int64
    assert instances.channels == ["ax", "ay"]
    assert instances.targets["cls"].names == ["ok", "worn", "out"]
    np.testing.assert_array_equal(instances.targets["cls"].ids, arrays["y_cls"])


def test_class_names_of_a_family_are_one_array_for_all_splits(arrays, load_arrays):
    family = family_of(arrays, {"train": 30, "test": 10}) | {"names": np.array([73, 80, 90])}
    assert load_arrays(family, class_names_key="names").instances.targets["cls"].names == ["73", "80", "90"]


def test_text_classes_are_named_by_their_own_text(arrays, load_arrays):
    arrays["y_cls"] = np.array(["worn", "new", ""])[arrays["y_cls"]]
    bundle = load_arrays(arrays)
    target = bundle.instances.targets["cls"]
    assert target.names == ["new", "worn"]
    np.testing.assert_array_equal(target.ids, np.array([1, 0, -1])[np.arange(40) % 3])
    assert bundle.notes == ["13 instances without a class 'y_cls'; task cls learns from the others"]


@pytest.mark.parametrize(("missing", "dtype"), [(np.nan, float), (-1, float), (-1, int)])
def test_a_missing_class_is_nan_or_minus_one(arrays, load_arrays, missing, dtype):
    arrays["y_cls"] = arrays["y_cls"].astype(dtype)
    arrays["y_cls"][[0, 7]] = missing
    target = load_arrays(arrays).instances.targets["cls"]
    assert np.flatnonzero(~target.labelled).tolist() == [0, 7]
    assert target.names == ["0", "1", "2"]
    np.testing.assert_array_equal(target.ids[8:], np.arange(8, 40) % 3)


def test_a_target_of_several_numbers_keeps_its_columns(arrays, load_arrays):
    arrays["y_reg"] = np.stack([arrays["y_reg"], 2 * arrays["y_reg"], -arrays["y_reg"]], axis=1)
    arrays["y_reg"][4, 1] = np.nan
    bundle = load_arrays(arrays)
    np.testing.assert_array_equal(bundle.instances.targets["reg"].values, arrays["y_reg"].astype(np.float32))
    assert bundle.notes == []  # two of its three numbers are there


def test_two_class_targets_are_numbered_each_by_itself(arrays, load_arrays):
    arrays["grade"] = np.array([80, 20])[np.arange(40) // 3 % 2]  # the class names are those of the first task
    arrays["names"] = np.array(["a", "b", "c"])
    targets = load_arrays(arrays, ("cls", "cls_2"), class_target_2="grade", class_names_key="names").instances.targets
    assert [(t.key, t.names) for t in targets.values()] == [("y_cls", ["a", "b", "c"]), ("grade", ["20", "80"])]
    np.testing.assert_array_equal(targets["cls_2"].ids, 1 - np.arange(40) // 3 % 2)


def test_a_home_folder_in_the_path_is_found(tmp_path, arrays, settings_of, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "data.npz", **arrays)
    assert len(load_bundle(settings_of("npz", path="~/data.npz"), BOTH).instances.x) == 40


def test_lengths_that_are_all_the_same_cut_the_series(arrays, load_arrays):
    steps = arrays["X"].shape[2] - 1
    instances = load_arrays({**arrays, "n": np.full(40, steps)}, lengths_key="n").instances
    assert instances.lengths is None
    np.testing.assert_array_equal(instances.x, arrays["X"][:, :, :steps])


def test_words_of_a_split_that_are_not_ours_are_named(arrays, load_arrays):
    words = np.array(["Train", "valid", "test", "test"] * 10)
    with pytest.raises(UserError, match="'part' holds Train, test, valid; the words of a split are"):
        load_arrays({**arrays, "part": words}, split_key="part")

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS
from tsmtl.data.loading import load_bundle

BOTH = {"cls": "cls", "reg": "reg"}


def without(arrays, *names):
    return {name: array for name, array in arrays.items() if name not in names}


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


@pytest.mark.parametrize("content", ["text", "npy", "pickle", "empty", "truncated"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, arrays, settings_of, refuses, content):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    whole = path.read_bytes()
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, arrays["X"])
    else:
        path.write_bytes(
            {"text": b"a,b\n1,2\n", "pickle": pickle.dumps([1, 2]), "empty": b"", "truncated": whole[:-50]}[content]
        )
    said = "a single array; tsmtl reads .npz files" if content == "npy" else "not a readable .npz file ("
    with refuses(f"{path}: {said}"):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


def test_damaged_bytes_inside_an_array_are_refused(tmp_path, arrays, settings_of, refuses):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("X.npy").header_offset
    content = bytearray(path.read_bytes())
    name, extra = (int.from_bytes(content[start + at : start + at + 2], "little") for at in (26, 28))
    first = start + 30 + name + extra
    content[first : first + 40] = b"\xff" * 40  # no such kind of deflate block
    path.write_bytes(bytes(content))
    with refuses(f"{path}: 'X' cannot be read, the file is damaged ("):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


@pytest.mark.parametrize(
    ("member", "said"),
    [("X", "'X' is no array; save it with numpy.savez"), ("X.npy", "'X'")],
)
def test_a_zip_of_other_things_is_refused(tmp_path, settings_of, refuses, member, said):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(member, "1,2,3")
    with refuses(f"{path}: {said}"):
        load_bundle(settings_of("npz", path=str(path)), BOTH)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are listed under /proc")
@pytest.mark.parametrize("content", ["whole", "refused", "truncated"])
def test_the_file_is_closed_whatever_becomes_of_it(tmp_path, arrays, settings_of, content):
    path = tmp_path / "data.npz"
    np.savez(path, **(without(arrays, "y_cls") if content == "refused" else arrays))
    if content == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
    try:
        kept = load_bundle(settings_of("npz", path=str(path)), BOTH)
    except UserError as error:
        kept = error  # with its frames
    assert isinstance(kept, UserError) == (content != "whole")
    assert str(path) not in {os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("absent.npz", ["data.path: there is no file", "absent.npz; check the name, or the folder you started from"]),
        ("folder.npz", ["data.path:", "folder.npz is a folder without any .npy file"]),
    ],
)
def test_a_path_without_a_file_is_refused(tmp_path, settings_of, refuses, name, parts):
    (tmp_path / "folder.npz").mkdir()
    with refuses(*parts):
        load_bundle(settings_of("npz", path=str(tmp_path / name)), BOTH)


def test_a_home_folder_in_the_path_is_found(tmp_path, arrays, settings_of, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "data.npz", **arrays)
    assert len(load_bundle(settings_of("npz", path="~/data.npz"), BOTH).instances.x) == 40


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["X", "y_cls", "y_reg", "g", "n", "c", "k", "s"])
def test_an_object_array_is_refused_and_never_unpickled(tmp_path, arrays, load_arrays, refuses, name):
    folder = tmp_path / "made_by_the_payload"
    arrays |= {"g": np.arange(40), "n": np.full(40, 8), "c": np.array(["a", "b"]), "k": np.array(["a", "b", "c"])}
    arrays["s"] = np.repeat([0, 1], 20)
    arrays[name] = np.array([Payload(folder)] * len(arrays[name]), dtype=object)
    keys = {"group_key": "g", "lengths_key": "n", "channels_key": "c", "class_names_key": "k", "split_key": "s"}
    with refuses(f"data.npz: '{name}' is an object array, which could run code", "save it with a plain type"):
        load_arrays(arrays, test_fold=1, **keys)
    assert not folder.exists()
    with np.load(tmp_path / "data.npz", allow_pickle=True) as unsafe:
        _ = unsafe[name]
    assert folder.exists()  # the payload was live


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


def test_lengths_that_are_all_the_same_cut_the_series(arrays, load_arrays):
    steps = arrays["X"].shape[2] - 1
    instances = load_arrays({**arrays, "n": np.full(40, steps)}, lengths_key="n").instances
    assert instances.lengths is None
    np.testing.assert_array_equal(instances.x, arrays["X"][:, :, :steps])


def test_words_of_a_split_that_are_not_ours_are_named(arrays, load_arrays):
    words = np.array(["Train", "valid", "test", "test"] * 10)
    with pytest.raises(UserError, match="'part' holds Train, test, valid; the words of a split are"):
        load_arrays({**arrays, "part": words}, split_key="part")


def test_a_family_member_that_would_not_be_read_is_named(arrays, load_arrays):
    parts = family_of(arrays, {"train": 30, "test": 10})
    parts["X_valid"] = parts["X_test"]
    with pytest.raises(UserError, match="the array X_valid would not be read; the splits are called"):
        load_arrays(parts)

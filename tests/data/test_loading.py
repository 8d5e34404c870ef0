import numpy as np
import pytest

from tsmtl.config.data_settings import TargetPlace
from tsmtl.data.checks import data_hash
from tsmtl.data.instances import BLOCK, SPLITS
from tsmtl.data.loading import load_bundle

NAN = np.nan


def test_steps_at_the_end_without_any_value_are_padding(arrays, load_arrays):
    arrays["X"][3, :, 5:] = NAN
    arrays["X"][39, :, 1:] = NAN
    bundle = load_arrays(arrays)
    expected = np.full(40, 8)
    expected[[3, 39]] = 5, 1
    np.testing.assert_array_equal(bundle.instances.lengths, expected)
    assert bundle.notes == ["2 series end in NaN in every channel: taken as padding of 1 to 8 steps"]


def test_nan_inside_a_series_or_in_one_channel_is_missing_and_no_padding(arrays, load_arrays):
    arrays["X"][3, :, 4] = NAN  # inside
    arrays["X"][4, 0, 6:] = NAN  # at the end, of one channel of two
    arrays["X"][5, :, :2] = NAN  # at the start
    bundle = load_arrays(arrays)
    assert bundle.instances.lengths is None
    assert bundle.notes == [
        "8 missing input values, filled (data.missing=interpolate); the first: instance 3, channel channel_1, "
        "time step 4"
    ]


def test_padding_and_gaps_of_one_series_are_told_apart(arrays, load_arrays):
    arrays["X"][3, :, 6:] = NAN
    arrays["X"][3, 0, 4:] = NAN
    bundle = load_arrays(arrays)
    assert bundle.instances.lengths[3] == 6
    assert bundle.notes[1].startswith("2 missing input values")


def test_padding_is_found_beyond_the_first_block_of_instances(load_arrays):
    n = BLOCK + 30
    x = np.random.default_rng(0).normal(size=(n, 1, 4)).astype(np.float32)
    x[BLOCK + 9, :, 2:] = NAN
    lengths = load_arrays({"X": x, "y_cls": np.arange(n) % 2}, ("cls",)).instances.lengths
    assert np.flatnonzero(lengths != 4).tolist() == [BLOCK + 9]
    assert lengths[BLOCK + 9] == 2


def test_scaling_per_step_needs_series_of_equal_length(arrays, load_arrays, refuses):
    assert load_arrays(arrays, scale="standard_per_step").instances.lengths is None
    with refuses("data.scale: standard_per_step is for series; vectors (N, E) take standard"):
        load_arrays(arrays | {"X": arrays["X"][:, :, 0]}, scale="standard_per_step")
    arrays["X"][3, :, 5:] = NAN
    with refuses("data.scale: standard_per_step needs", "have 5 to 8 time steps", "data.nan_padding=false"):
        load_arrays(arrays, scale="standard_per_step")


def test_given_lengths_keep_nan_at_the_end_as_missing(arrays, load_arrays):
    arrays["n"] = np.full(40, 8)
    arrays["n"][0] = 5
    arrays["X"][1, :, 7:] = NAN
    bundle = load_arrays(arrays, lengths_key="n")
    assert bundle.instances.lengths.tolist() == [5] + [8] * 39
    assert [note.split(",")[0] for note in bundle.notes] == ["2 missing input values"]


def test_missing_features_of_vectors_are_no_padding(arrays, load_arrays):
    arrays["X"] = arrays["X"][:, :, 0]
    arrays["X"][2, 1] = NAN
    bundle = load_arrays(arrays)
    assert bundle.instances.lengths is None
    assert bundle.notes[0].endswith("the first: instance 2, feature feature_2")


def test_vectors_have_no_scaling_per_instance(arrays, load_arrays, refuses):
    arrays["X"] = arrays["X"][:, :, 0]
    with refuses("data.scale: per_instance is for series; vectors (N, E) take standard or minmax"):
        load_arrays(arrays, scale="per_instance")


@pytest.mark.parametrize("tasks", [{"cls": "cls"}, {"reg": "reg"}, {"cls": "cls", "reg": "reg"}])
def test_a_bundle_has_the_targets_of_its_tasks_and_three_disjoint_splits(settings_of, tasks):
    bundle = load_bundle(settings_of("synthetic", n_instances=50), tasks)
    assert list(bundle.instances.targets) == list(tasks)
    assert tuple(bundle.splits) == SPLITS
    assert sorted(row for rows in bundle.splits.values() for row in rows) == list(range(50))


def test_loading_twice_gives_the_same_data_and_another_seed_gives_others(settings_of):
    tasks = {"cls": "cls", "reg": "reg"}
    hashes = [data_hash(load_bundle(settings_of("synthetic", seed=seed), tasks)) for seed in (5, 5, 6)]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize("source", ["npz", "npz groups", "table", "synthetic"])
def test_random_splits_and_labels_do_not_depend_on_the_tasks_that_are_learnt(settings_of, tmp_path, source):
    rng = np.random.default_rng(1)
    y_cls, y_reg = rng.choice(["run", "idle", "burst"], 90), rng.normal(size=90).astype(np.float32)
    if source == "synthetic":
        settings = settings_of("synthetic", n_instances=60, n_channels=1, n_steps=16)
    elif source == "table":
        rows = [f"{i // 6},{c},{r:.4f},{i}" for i, (c, r) in enumerate(zip(y_cls, y_reg, strict=True))]
        (tmp_path / "t.csv").write_text("entity,c,r,x\n" + "\n".join(rows) + "\n", encoding="utf-8")
        named = {"entity": "entity", "channels": ["x"], "window": 1, "class_target": "c", "regression_target": "r"}
        settings = settings_of("table", path=str(tmp_path / "t.csv"), **named)
    else:
        x, groups = rng.normal(size=(90, 3)), np.repeat(np.arange(15), 6)
        np.savez(tmp_path / "d.npz", X=x, y_cls=y_cls, y_reg=y_reg, g=groups)
        settings = settings_of("npz", path=str(tmp_path / "d.npz"), group_key="g" if "groups" in source else None)
    both = load_bundle(settings, {"cls": "cls", "reg": "reg"})
    if source != "synthetic":
        classes = both.instances.targets["cls"]
        assert np.array(classes.names)[classes.ids].tolist() == y_cls.tolist()
    for task in ("cls", "reg"):
        alone = load_bundle(settings, {task: task})
        for name, rows in both.splits.items():
            np.testing.assert_array_equal(alone.splits[name], rows)
        np.testing.assert_array_equal(alone.instances.targets[task].array, both.instances.targets[task].array)


def test_a_class_column_that_two_tasks_name_differently_keeps_its_classes(settings_of, tmp_path):
    ids = [2, 0, 1] * 20  # do not first appear in the order of their ids
    rows = [f"{i // 6},{k},{i}" for i, k in enumerate(ids)]
    (tmp_path / "t.csv").write_text("entity,c,x\n" + "\n".join(rows) + "\n", encoding="utf-8")
    settings = settings_of("table", path=str(tmp_path / "t.csv"), entity="entity", channels=["x"], window=1)
    places = {"plain": TargetPlace("tasks.plain.target", ("c",))}
    places["named"] = TargetPlace("tasks.named.target", ("c",), names=("low", "middle", "high"))
    targets = load_bundle(settings.naming(places), {"plain": "cls", "named": "cls"}).instances.targets
    assert targets["plain"].ids.tolist() == targets["named"].ids.tolist() == ids
    assert list(targets["named"].names) == ["low", "middle", "high"]

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from tsmtl.config.arguments import plain_settings
from tsmtl.config.location import config_dir
from tsmtl.config.schema import Settings, check
from tsmtl.data.instances import Bundle, NumberTarget
from tsmtl.data.loading import load_bundle
from tsmtl.data.windows import Windows
from tsmtl.splits import with_features

ROOT = Path(os.environ.get("TSMTL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def compose_settings(*overrides: str) -> Settings:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return check(plain_settings(compose("train", list(overrides))))


@cache
def known_set(name: str, *overrides: str) -> Bundle:
    if not (ROOT / name).is_dir():
        pytest.skip(f"the data set {name} is not in {ROOT} (TSMTL_DATA names another folder)")
    settings = compose_settings(f"data={name}", f"data.root='{ROOT}'", *overrides)
    return load_bundle(settings.data, settings.tasks)


@cache
def raw(name: str, file: str) -> dict[str, np.ndarray]:
    with np.load(ROOT / name / file) as arrays:
        return {key: arrays[key] for key in arrays.files if not key.startswith("X")}


def hydraulic(*overrides: str) -> tuple[Bundle, dict[str, np.ndarray]]:
    return known_set("hydraulic", *overrides), raw("hydraulic", "hydraulic_1hz.npz")


def gas_drift(*overrides: str) -> tuple[Bundle, dict[str, np.ndarray]]:
    return known_set("gas_drift", *overrides), raw("gas_drift", "gas_drift.npz")


def sides(bundle: Bundle, of: np.ndarray) -> dict[str, set]:
    return {name: set(of[rows].tolist()) for name, rows in bundle.splits.items()}


def assert_nothing_on_two_sides(bundle: Bundle, of: np.ndarray) -> None:
    parts = sides(bundle, of)
    assert sum(len(part) for part in parts.values()) == len(set(of.tolist()))


@pytest.mark.parametrize("name", ["hydraulic", "har", "gas_drift"])
def test_a_set_that_is_not_there_names_the_settings_that_lead_to_it(name, tmp_path, monkeypatch, refuses):
    monkeypatch.setenv("TSMTL_DATA", str(tmp_path))
    settings = compose_settings(f"data={name}", *(["task=cls", "model=lstm"] if name == "har" else []))
    with refuses(
        f"data.path: there is no file {tmp_path / name}",
        "set data.path to your copy, or TSMTL_DATA (data.root)",
        "published as: ",
        "UCI Machine Learning Repository",
    ):
        load_bundle(settings.data, settings.tasks)


def test_hydraulic_has_the_published_cycles_and_sensors():
    bundle, _ = hydraulic()
    instances = bundle.instances
    assert instances.x.shape == (2205, 17, 60)
    assert instances.channels == (
        [f"PS{i}" for i in range(1, 7)] + ["EPS1", "FS1", "FS2", "TS1", "TS2", "TS3", "TS4", "VS1", "CE", "CP", "SE"]
    )
    assert not np.isnan(instances.x).any()
    assert instances.lengths is None
    published = {
        "PS1": 160.673492,
        "PS2": 109.466913,
        "EPS1": 2538.929167,
        "FS1": 6.709815,
        "TS1": 35.621983,
        "VS1": 0.576950,
        "CE": 39.601350,
        "CP": 1.862750,
        "SE": 59.157183,
    }
    first = dict(zip(instances.channels, instances.x[0].astype(np.float64).mean(axis=1), strict=True))
    for sensor, mean in published.items():
        assert first[sensor] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(
    ("component", "counts"),
    [("cooler", [732, 732, 741]), ("valve", [360, 360, 360, 1125]), ("pump", [1221, 492, 492])],
)
def test_hydraulic_conditions_occur_as_often_as_published(component, counts):
    bundle, _ = hydraulic(f"data.class_target={component}")
    assert np.bincount(bundle.instances.targets["cls"].ids).tolist() == counts


def test_hydraulic_pressure_has_the_four_published_levels_in_bar():
    target = hydraulic()[0].instances.targets["reg"]
    assert isinstance(target, NumberTarget)
    levels, counts = np.unique(target.values, return_counts=True)
    assert dict(zip(levels.tolist(), counts.tolist(), strict=True)) == {90: 808, 100: 399, 115: 399, 130: 599}
    assert target.unit == "bar"


@pytest.mark.parametrize("fold", range(5))
def test_hydraulic_tests_on_its_fold_and_divides_no_run(fold):
    bundle, arrays = hydraulic(f"data.test_fold={fold}")
    np.testing.assert_array_equal(bundle.splits["test"], np.flatnonzero(arrays["fold"] == fold))
    assert len(set(arrays["group"].tolist())) == 194
    assert_nothing_on_two_sides(bundle, arrays["group"])
    rest = 2205 - len(bundle.splits["test"])
    assert len(bundle.splits["val"]) == pytest.approx(0.2 * rest, abs=25)  # by whole runs, mostly of ten cycles


def har() -> tuple[Bundle, np.ndarray]:
    bundle = known_set("har", "task=cls", "model=lstm")
    arrays = raw("har", "har_hapt_windows.npz")
    return bundle, np.concatenate([arrays["subject_train"], arrays["subject_test"]])


def test_har_has_the_published_windows_and_channels():
    instances = har()[0].instances
    assert instances.x.shape == (10411, 9, 128)
    assert len(instances.channels) == 9
    assert not np.isnan(instances.x).any()
    assert instances.x[:, 6].mean(dtype=np.float64) == pytest.approx(0.81, abs=0.005)  # gravity, in g
    assert [name.lower().replace("_", " ") for name in instances.targets["cls"].names] == [
        "walking",
        "walking upstairs",
        "walking downstairs",
        "sitting",
        "standing",
        "laying",
    ]


def test_har_keeps_the_official_split_by_volunteer():
    bundle, subject = har()
    of = sides(bundle, subject)
    assert of["test"] == {2, 4, 9, 10, 12, 13, 18, 20, 24}
    assert of["train"] | of["val"] == set(range(1, 31)) - of["test"]
    assert of["val"]
    assert not of["train"] & of["val"]
    ids = bundle.instances.targets["cls"].ids
    learnt = np.concatenate([bundle.splits["train"], bundle.splits["val"]])
    assert np.bincount(ids[learnt]).tolist() == [1226, 1073, 987, 1293, 1423, 1413]
    assert np.bincount(ids[bundle.splits["test"]]).tolist() == [496, 471, 420, 508, 556, 545]


GASES = ["ethanol", "ethylene", "ammonia", "acetaldehyde", "acetone", "toluene"]
BATCHES = {
    1: [90, 98, 83, 30, 70, 74],
    2: [164, 334, 100, 109, 532, 5],
    3: [365, 490, 216, 240, 275, 0],
    4: [64, 43, 12, 30, 12, 0],
    5: [28, 40, 20, 46, 63, 0],
    6: [514, 574, 110, 29, 606, 467],
    8: [30, 30, 40, 33, 143, 18],
    9: [61, 55, 100, 75, 78, 101],
}


def test_gas_drift_has_the_published_table_of_batches_and_gases():
    bundle, arrays = gas_drift()
    target = bundle.instances.targets["cls"]
    assert bundle.instances.x.shape == (6697, 128)
    assert target.names == GASES
    table = {b: np.bincount(target.ids[arrays["batch"] == b], minlength=6).tolist() for b in set(arrays["batch"])}
    assert table == BATCHES
    assert bundle.instances.x[0, 0] == pytest.approx(15596.1621, rel=1e-7)
    assert (target.ids[0], bundle.instances.targets["reg"].values[0, 0]) == (0, 10)


@pytest.mark.parametrize(
    ("gas", "low", "high"),
    [
        ("ethanol", 10, 600),
        ("ethylene", 10, 300),
        ("ammonia", 10, 1000),
        ("acetaldehyde", 10, 300),
        ("acetone", 12, 500),
        ("toluene", 5, 100),
    ],
)
def test_gas_drift_has_the_published_concentrations_in_ppm(gas, low, high):
    targets = gas_drift()[0].instances.targets
    values = targets["reg"].values[targets["cls"].ids == GASES.index(gas)]
    assert (values.min(), values.max()) == (low, high)
    assert targets["reg"].unit == "ppm"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), {"train": {1, 2, 3, 4, 5, 6}, "val": {1, 2, 3, 4, 5, 6}, "test": {8, 9}}),  # val: a part of each batch
        (("data.test_fold=9", "data.val_fold=8"), {"train": {1, 2, 3, 4, 5, 6}, "val": {8}, "test": {9}}),
        (("data.test_fold=[6,8]", "data.val_fold=[4,5]"), {"train": {1, 2, 3, 9}, "val": {4, 5}, "test": {6, 8}}),
    ],
)
def test_gas_drift_is_split_by_batch(overrides, expected):
    bundle, arrays = gas_drift(*overrides)
    assert sides(bundle, arrays["batch"]) == expected
    rows = {batch: sum(gases) for batch, gases in BATCHES.items()}
    assert len(bundle.splits["test"]) == sum(rows[batch] for batch in expected["test"])
    assert sum(len(r) for r in bundle.splits.values()) == 6697
    if overrides:
        assert len(bundle.splits["val"]) == sum(rows[batch] for batch in expected["val"])


@cache
def engines() -> tuple[Bundle, Bundle, np.ndarray]:
    """FD002 as experiment=cmapss has it, before and after its features, and the rows of its files."""
    before = known_set("cmapss", "experiment=cmapss", "data.subset=FD002")
    rows = [np.loadtxt(ROOT / "cmapss" / f"{part}_FD002.txt.gz") for part in ("train", "test")]
    rows[1][:, 0] += rows[0][-1, 0]  # engines of the two files are others
    return before, with_features(before)[0], np.concatenate(rows)


def test_cmapss_has_mean_0_and_sd_1_in_each_of_six_conditions_of_train():
    _, after, rows = engines()
    windows = after.instances.x
    assert isinstance(windows, Windows)
    ends = windows.first_rows(after.splits["train"])[0] + 29
    train = np.isin(rows[:, 0], rows[ends, 0])
    height = np.round(rows[:, 2])  # thousands of feet: it alone tells the conditions apart
    assert set(height) == {0, 10, 20, 25, 35, 42}
    for condition in set(height):
        values = windows.values[train & (height == condition), :14].astype(np.float64)
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-5)


def test_cmapss_derived_channels_begin_at_an_engines_first_row_and_its_splits_share_none():
    before, after, rows = engines()
    windows = after.instances.x
    assert isinstance(windows, Windows)
    ends = {name: windows.first_rows(chosen)[0] + 29 for name, chosen in after.splits.items()}
    of = {name: set(rows[end, 0]) for name, end in ends.items()}
    assert [len(of[name]) for name in ("train", "val", "test")] == [208, 52, 259]
    assert len(set.union(*of.values())) == 260 + 259
    for engine in [min(of["train"]), min(of["val"]), *sorted(of["test"])[:3]]:
        own = np.flatnonzero(rows[:, 0] == engine)
        sensors, mean, age = np.split(windows.values[own].astype(np.float64), [14, 28], axis=1)
        np.testing.assert_array_equal(age[:, 0], np.arange(len(own)))
        expected = sensors[0]
        for now, found in zip(sensors, mean, strict=True):
            expected = 0.05 * now + 0.95 * expected
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert before.instances.channels == after.instances.channels[:14]

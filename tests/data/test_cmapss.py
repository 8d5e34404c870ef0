"""C-MAPSS engines: the facts of the public files, and what a folder that is not theirs is told."""

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.conftest import DATA, public_data
from tests.data.tables import windows_of
from tsmtl.config.location import config_dir
from tsmtl.config.table_settings import CmapssSettings
from tsmtl.data.instances import Bundle
from tsmtl.data.loading import load_bundle
from tsmtl.splits import with_features

TASKS = {"cls": "cls", "reg": "reg"}


def loaded(path: Path, **changes) -> Bundle:
    parts = [OmegaConf.load(config_dir() / "data" / f"{name}.yaml") for name in ("table", "cmapss")]
    defaults = OmegaConf.to_container(OmegaConf.merge(*parts), resolve=True)
    del defaults["defaults"]
    return load_bundle(CmapssSettings(**{**defaults, "path": str(path), **changes}), TASKS)


@cache
def public(subset: str) -> Bundle:
    conditions = {"condition": [f"setting_{i}" for i in (1, 2, 3)], "condition_clusters": 6}
    return loaded(DATA / "cmapss", subset=subset, **(conditions if subset == "FD002" else {}))


def raw(name: str) -> np.ndarray:
    return np.loadtxt(gzip.open(DATA / "cmapss" / f"{name}.txt.gz"), ndmin=2)


def engines_of(bundle: Bundle) -> dict[str, int]:
    return {name: facts["entities"] for name, facts in bundle.instances.facts["splits"].items()}


@public_data("cmapss")
@pytest.mark.parametrize(
    ("subset", "train", "test", "train_rows", "test_rows"),
    [("FD001", 100, 100, 20631, 13096), ("FD002", 260, 259, 53759, 33991)],
)
def test_engines_and_rows_are_as_many_as_published(subset, train, test, train_rows, test_rows):
    bundle = public(subset)
    windows, context = windows_of(bundle), bundle.instances.context
    assert len(windows.values) == train_rows + test_rows
    assert context.birth[train] == train_rows
    engines = engines_of(bundle)
    assert (engines["train"] + engines["val"], engines["test"]) == (train, test)
    assert windows.shape[1:] == (14, 30)
    assert len(bundle.splits["test"]) == test
    assert bundle.instances.facts["leaks"] is False
    assert bundle.instances.facts["test_files"] == {"equal_rows": 0, "copied_windows": 0}
    assert bundle.instances.channels == [f"s{i}" for i in (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)]
    before = test_rows - sum(min(30, n) for n in np.unique(raw(f"test_{subset}")[:, 0], return_counts=True)[1])
    assert f"{before} rows of test stand before the last window, not read (data.test_windows=last)" in bundle.notes


@public_data("cmapss")
@pytest.mark.parametrize("subset", ["FD001", "FD002"])
def test_the_last_window_of_a_test_engine_is_its_last_rows_and_its_target_that_of_the_file(subset):
    bundle, test, life = public(subset), raw(f"test_{subset}"), raw(f"RUL_{subset}")[:, 0]
    rows = bundle.splits["test"]
    np.testing.assert_array_equal(bundle.instances.targets["reg"].values[rows, 0], life)
    names = bundle.instances.targets["cls"].names
    wanted = ["critical" if n < 30 else "degrading" if n < 80 else "healthy" for n in life]
    assert [names[i] for i in bundle.instances.targets["cls"].ids[rows]] == wanted
    columns = [int(name[1:]) + 4 for name in bundle.instances.channels]
    short = 0
    for engine, window in enumerate(bundle.instances.x[rows], 1):
        last = test[test[:, 0] == engine][-30:, columns].astype(np.float32)
        short += len(last) < 30
        last = np.concatenate([last[:1].repeat(30 - len(last), axis=0), last])
        np.testing.assert_array_equal(window, last.T)
    assert bundle.instances.places["entity"].tolist() == [str(k) for k in range(1, len(life) + 1)]
    said = [note for note in bundle.notes if "shorter than a window" in note]
    assert [note.split()[0] for note in said] == ([str(short)] if short else [])
    assert short == {"FD001": 0, "FD002": 6}[subset]


@public_data("cmapss")
def test_life_falls_by_one_each_cycle_to_zero_and_windows_hold_one_engine():
    bundle, train = public("FD001"), raw("train_FD001")
    windows = windows_of(bundle)
    lives = {int(e): float((train[:, 0] == e).sum()) for e in np.unique(train[:, 0])}
    found = bundle.instances.targets["reg"].values[:, 0]
    piece = windows.piece_of(np.arange(len(windows)))
    for k in range(100):
        own = found[piece == k]
        assert own.tolist() == list(range(int(lives[k + 1]) - 30, -1, -1))


@public_data("cmapss")
def test_in_fd001_the_other_sensors_are_constant_and_fd002_has_six_conditions(monkeypatch):
    names = [f"s{i}" for i in (1, 5, 10, 16, 18, 19)]
    bundle = loaded(DATA / "cmapss", subset="FD001", channels=["s2", *names, "setting_3"])
    assert any(note.startswith("7 constant in the train split") for note in bundle.notes)
    monkeypatch.setattr("tsmtl.data.kmeans.MOST_ROWS", 1000)
    bundle = public("FD002")
    scaled, features = with_features(bundle)
    rows = np.concatenate([raw(f"{part}_FD002")[:, 2:5] for part in ("train", "test")])
    rounded = np.round(rows[:, 0]).astype(int)  # 0, 10, 20, 25, 35 and 42 thousand feet
    ids = features.conditions.of_rows(bundle.instances.context.condition, np.arange(len(rows)))
    assert len(set(rounded)) == len({*zip(rounded.tolist(), ids.tolist(), strict=True)}) == 6
    of_train = scaled.instances.x.rows_read(scaled.splits["train"])
    train = np.concatenate([np.arange(a, b) for a, b in of_train])
    values = scaled.instances.x.values
    for k in range(6):
        assert np.abs(values[train][ids[train] == k].mean(axis=0)).max() < 1e-3


@pytest.fixture
def folder(tmp_path) -> Callable[..., Path]:
    """Give a function that writes a small set in the files' form, and spoils it as told."""

    def made(spoil: Callable[[str, str], str] = lambda name, text: text) -> Path:
        rng = np.random.default_rng(0)

        def rows(lengths: list[int]) -> str:
            return "".join(
                f"{e} {t} " + " ".join(f"{v:.4f}" for v in rng.normal(size=24)) + "  \n"
                for e, n in enumerate(lengths, 1)
                for t in range(1, n + 1)
            )

        texts = {
            "train_FD003": rows([100, 110, 90, 100, 95, 105]),
            "test_FD003": rows([40, 10]),
            "RUL_FD003": "7 \n90 \n",
        }
        for name, text in texts.items():
            (tmp_path / f"{name}.txt").write_text(spoil(name, text))
        return tmp_path

    return made


def test_plain_and_gzipped_files_give_the_same(folder):
    place = folder()
    plain = loaded(place, subset="FD003")
    for path in place.glob("*.txt"):
        (place / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    packed = loaded(place, subset="FD003")
    np.testing.assert_array_equal(plain.instances.x[:], packed.instances.x[:])
    assert plain.instances.targets["reg"].values[plain.splits["test"], 0].tolist() == [7, 90]
    assert packed.notes == plain.notes


@pytest.mark.parametrize(
    ("name", "spoil", "parts"),
    [
        ("RUL_FD003", lambda text: "7\n", ("RUL_FD003.txt has 1 lines, test_FD003.txt 2 engines",)),
        ("train_FD003", lambda text: text.replace("1 5 ", "1 5 x", 1), ("row 5, column 'setting_1': 'x",)),
        ("RUL_FD003", lambda text: "seven\n9\n", ("RUL_FD003.txt: row 1, column 'remaining_life': 'seven'",)),
        ("train_FD003", lambda text: text.replace("2 5 ", "nan 5 ", 1), ("column 'engine' is no whole number",)),
        ("train_FD003", lambda text: text.replace("2 5 ", "2 5.5 ", 1), ("row 105, column 'cycle' is no whole",)),
        ("train_FD003", lambda text: text[:-90], ("train_FD003.txt: row 600 has", "there are 26 names", "cut off?")),
        ("train_FD003", lambda text: text.replace("2 5 ", "2 4 ", 1), ("1 rows repeat", "entity '2', time 4")),
        ("test_FD003", lambda text: "", ("test_FD003.txt: empty",)),
    ],
)
def test_files_that_are_not_the_sets_are_refused_with_the_place(folder, refuses, name, spoil, parts):
    place = folder(lambda file, text: spoil(text) if file == name else text)
    with refuses(str(place), *parts):
        loaded(place, subset="FD003")


def test_a_set_that_is_not_there_is_named_with_its_public_name_and_the_settings(tmp_path, refuses):
    with refuses("data.path: there is no train_FD004.txt or train_FD004.txt.gz in", "data.path", "TSMTL_DATA", "NASA"):
        loaded(tmp_path, subset="FD004")

"""Sets of the archives come by name: from aeon's own package, from the folder where they are kept, or fetched."""

import importlib.util
import json
import shutil
import socket
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from aeon.datasets import load_classification, load_regression

from tsmtl.data.archive import load_archive
from tsmtl.data.loading import load_bundle

BUNDLED = Path(str(importlib.util.find_spec("aeon").origin)).parent / "datasets" / "data"


@pytest.fixture
def load(settings_of, tmp_path):
    def load(name, task="cls", **changes):
        return load_archive(settings_of("archive", name=name, folder=str(tmp_path / "kept"), **changes), {task: task})

    return load


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*given, **options):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", ["BasicMotions", "JapaneseVowels", "GunPoint"])
def test_series_and_classes_of_a_bundled_set_are_those_of_aeon(load, name):
    instances = load(name)
    x, y = load_classification(name)
    for i, series in enumerate(x):
        steps = series.shape[1]
        assert instances.lengths is None or instances.lengths[i] == steps
        np.testing.assert_array_equal(instances.x[i, :, :steps], series.astype(np.float32))
    target = instances.targets["cls"]
    assert [target.names[i].lower() for i in target.ids] == y.tolist()
    n_train = len(load_classification(name, "train")[1])
    np.testing.assert_array_equal(instances.given["train"], np.arange(n_train))
    np.testing.assert_array_equal(instances.given["test"], np.arange(n_train, len(y)))


def test_numbers_of_a_bundled_set_are_those_of_aeon(load):
    _, y = load_regression("Covid3Month")
    np.testing.assert_array_equal(load("Covid3Month", "reg").targets["reg"].values[:, 0], y.astype(np.float32))


def test_val_is_carved_from_train_and_test_is_the_archives(settings_of, tmp_path):
    settings = settings_of("archive", name="BasicMotions", folder=str(tmp_path))
    splits = load_bundle(settings, {"cls": "cls"}).splits
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 32, "val": 8, "test": 40}
    np.testing.assert_array_equal(splits["test"], np.arange(40, 80))


def test_what_is_kept_in_the_folder_comes_first_and_needs_no_aeon(load, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    kept = tmp_path / "kept" / "BasicMotions"
    kept.mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        shutil.copy(BUNDLED / "GunPoint" / f"GunPoint_{part}.ts", kept / f"BasicMotions_{part}.ts")
    assert load("BasicMotions").x.shape == (200, 1, 150)


def test_without_aeon_one_line_says_how_to_get_it(load, refuses, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refuses(
        f"data.name: the set BasicMotions is not in {tmp_path / 'kept'}; aeon fetches it: pip install 'tsmtl[archive]'"
    ):
        load("BasicMotions")


def test_aeon_is_not_imported_for_what_is_there(load, monkeypatch):
    found = ModuleSpec("aeon", None, origin=str(BUNDLED.parents[1] / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    monkeypatch.setitem(sys.modules, "aeon", None)  # an import of it fails
    assert load("BasicMotions").x.shape == (80, 6, 100)


def test_without_a_network_one_line_names_the_set_and_its_place(load, refuses, tmp_path):
    with refuses(
        f"data.name: the set Epilepsy could not be fetched into {tmp_path / 'kept' / 'Epilepsy'} (",
        "Temporary failure in name resolution",
        "); check the network, or put Epilepsy_TRAIN.ts and Epilepsy_TEST.ts there yourself",
    ):
        load("Epilepsy")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_set_that_is_not_to_be_fetched_is_not(load, refuses, tmp_path):
    with refuses(f"the set Epilepsy is not in {tmp_path / 'kept'}, and data.download=false; true fetches it"):
        load("Epilepsy", download=False)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("name", "task", "said"),
    [
        ("BasicMotion", "cls", "the archives have no set 'BasicMotion'; did you mean 'BasicMotions'?"),
        ("FloodModelling1", "reg", "the archives have no set 'FloodModelling1'; did you mean 'FloodModeling1'?"),
        ("Epilepsy", "reg", "the set Epilepsy has a class per instance and no number; take task=cls"),
        ("FloodModeling1", "cls", "the set FloodModeling1 has a number per instance and no class; take task=reg"),
        ("BasicMotions", "reg", "has a class and no number per instance, task=reg needs a number; take task=cls"),
    ],
)
def test_a_name_or_a_task_that_does_not_fit_is_said_before_anything_is_fetched(load, refuses, name, task, said):
    with refuses(said):
        load(name, task)


def test_a_set_is_fetched_once_as_it_was_published(load, monkeypatch, tmp_path):
    fetched = []

    def fetch(name, split, extract_path, load_equal_length, load_no_missing):
        assert load_equal_length is load_no_missing is False
        fetched.append(name)
        shutil.copytree(BUNDLED / "GunPoint", Path(extract_path) / name)
        for part in ("TRAIN", "TEST"):
            (Path(extract_path) / name / f"GunPoint_{part}.ts").rename(Path(extract_path) / name / f"{name}_{part}.ts")

    monkeypatch.setattr("aeon.datasets.load_classification", fetch)
    assert load("Epilepsy").x.shape == (200, 1, 150)
    assert load("Epilepsy").x.shape == (200, 1, 150)
    assert fetched == ["Epilepsy"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["Epilepsy"]


def test_a_download_that_breaks_off_leaves_nothing(load, refuses, monkeypatch, tmp_path):
    def fetch(name, split, extract_path, **options):
        shutil.copytree(BUNDLED / "GunPoint", Path(extract_path) / name)
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("aeon.datasets.load_classification", fetch)
    with refuses("the set Epilepsy could not be fetched", "Connection reset by peer"):
        load("Epilepsy")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(load, refuses, tmp_path):
    (tmp_path / "kept").write_text("a file")
    with refuses("the set Epilepsy could not be fetched into", "exists"):
        load("Epilepsy")


def test_a_run_names_its_set_and_its_checkpoint_finds_it_again(tsmtl_train, tsmtl_evaluate, tmp_path):
    run = ["data=archive", "data.name=BasicMotions", "data.folder=kept", "model=cnn1d", "output_channels=4"]
    run += ["num_epochs=1", "device=cpu", "hydra.run.dir=run"]
    assert tsmtl_train(*run).lines == [
        "tsmtl-train: task: a set of data=archive has a class or a number per instance, never both; take task=cls or "
        "task=reg"
    ]
    assert tsmtl_train(*run, "task=cls").code == 0
    assert tsmtl_evaluate("checkpoint=run/best_model.pt", "output=metrics.json").code == 0
    ours, theirs = (json.loads((tmp_path / file).read_text()) for file in ("metrics.json", "run/summary.json"))
    assert ours["metrics"] == theirs["test"]


def test_two_processes_that_fetch_the_same_set_do_not_disturb_each_other(load, monkeypatch, tmp_path):
    def fetch(name, split, extract_path, **options):
        for folder in (Path(extract_path), tmp_path / "kept"):  # the other process is done while we still fetch
            shutil.copytree(BUNDLED / "GunPoint", folder / name)
            for part in ("TRAIN", "TEST"):
                (folder / name / f"GunPoint_{part}.ts").rename(folder / name / f"{name}_{part}.ts")

    monkeypatch.setattr("aeon.datasets.load_classification", fetch)
    assert load("Epilepsy").x.shape == (200, 1, 150)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["Epilepsy"]

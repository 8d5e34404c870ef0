"""tsmtl in Python: ``tsmtl.train`` and what it gives."""

import importlib
import json
import logging
import threading

import numpy as np
import pytest
import torch

import tsmtl
from tests.test_train import SMALL, TINY_MODEL
from tsmtl.config.errors import UserError

LSTM = ["model=lstm", *TINY_MODEL["lstm"], *SMALL]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_train_gives_the_same_as_the_command(tsmtl_train, tmp_path):
    result = tsmtl.train([*LSTM, "hydra.run.dir=a"])
    assert tsmtl_train(*LSTM, "hydra.run.dir=b").code == 0
    assert (tmp_path / "a/predictions_test.csv").read_text() == (tmp_path / "b/predictions_test.csv").read_text()
    assert result.folder == tmp_path / "a"
    assert result.summary["test"] == json.loads((tmp_path / "a/summary.json").read_text())["test"]
    assert result.test["reg"]["rmse"] == result.summary["test"]["reg"]["rmse"]
    assert list(result.test["cls"]) == ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "ece"]
    model = tsmtl.load_model(result.best_model_path)
    assert model.predict(np.zeros((2, 3, 32)))["cls"].labels.shape == (2,)


def test_train_works_by_its_name_once_the_module_is_imported():
    import tsmtl.train

    assert tsmtl.train([*LSTM, "num_epochs=1"]).folder.is_dir()
    assert callable(tsmtl.train.cli)


def test_train_raises_with_a_line_per_problem_and_writes_nothing(tmp_path):
    with pytest.raises(UserError) as error:
        tsmtl.train(["lr=5", "alpha=2"])
    assert error.value.lines == [
        "lr: must be a number in (0, 0.1] (got 5)",
        "alpha: must be a number in [0, 1] (got 2)",
    ]
    with pytest.raises(ValueError, match="flags are for the command line"):
        tsmtl.train(["-m", "lr=1e-3"])
    assert not list(tmp_path.iterdir())


def test_train_leaves_the_hosts_logging_and_signals_alone():
    import signal

    handlers = list(logging.getLogger().handlers)
    signals = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    tsmtl.train([*LSTM, "num_epochs=1"])
    assert logging.getLogger().handlers == handlers
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == signals


def test_train_runs_in_a_thread_of_its_own():
    results = []
    thread = threading.Thread(target=lambda: results.append(tsmtl.train([*LSTM, "num_epochs=1"])))
    thread.start()
    thread.join(60)
    assert results[0].summary["epochs"] == 1


def test_a_second_thread_is_refused_while_one_trains(tmp_path, monkeypatch):
    """Both would draw from the generator of the process."""
    inside, go_on, found = threading.Event(), threading.Event(), []

    def trains(settings, folder):
        inside.set()
        assert go_on.wait(60)

    def second():
        with pytest.raises(UserError) as error:
            tsmtl.train(LSTM)
        found.extend(error.value.lines)
        go_on.set()

    monkeypatch.setattr(importlib.import_module("tsmtl.train"), "_train", trains)
    thread = threading.Thread(target=lambda: inside.wait(60) and second())
    thread.start()
    tsmtl.train(LSTM)
    thread.join(60)
    (said,) = found
    assert said.startswith(
        "another thread of this process is training, and random numbers are the process's; train one"
    )
    tsmtl.train(LSTM)  # the first has ended
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("model=gru", "overrides: must be a list of texts such as 'model=gru' (got str)"),
        ({"model": "gru"}, "overrides: must be a list of texts such as 'model=gru' (got dict)"),
        (None, "overrides: must be a list of texts such as 'model=gru' (got NoneType)"),
        ([5], "overrides: must be a list of texts such as 'model=gru'"),
        (["hydra.run.dir="], "hydra.run.dir=: of Hydra's settings, Python takes hydra.run.dir=FOLDER alone"),
        (["hydra.mode=MULTIRUN"], "hydra.mode=MULTIRUN: of Hydra's settings, Python takes hydra.run.dir=FOLDER alone"),
    ],
)
def test_words_that_are_no_list_of_settings_are_refused(tmp_path, overrides, said):
    with pytest.raises(UserError) as error:
        tsmtl.train(overrides)
    assert error.value.lines == [said]
    assert not list(tmp_path.iterdir())


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def predicted(folder):
    """Load the model and give all its numbers for four series."""
    model = tsmtl.load_model(folder / "best_model.pt")
    x = np.random.default_rng(0).normal(size=(4, 3, 32))
    found = model.predict(x, level=0.9)
    return [found["cls"].probabilities, found["reg"].values, found["reg"].high, model.embed(x)]


@pytest.mark.parametrize("model", ["lstm", "cnn1d"])
def test_a_script_that_makes_float64_by_default_gets_the_same_numbers(tmp_path, request, model):
    words = [f"model={model}", *TINY_MODEL[model], *SMALL]
    expected, numbers = tsmtl.train([*words, "hydra.run.dir=a"]).test, predicted(tmp_path / "a")
    request.getfixturevalue("_float64")
    for ours, theirs in zip(predicted(tmp_path / "a"), numbers, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert tsmtl.train([*words, "hydra.run.dir=b"]).test == expected
    assert torch.get_default_dtype() == torch.float64


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", None, 5])
def test_a_device_that_is_none_is_refused(device):
    with pytest.raises(UserError) as error:
        tsmtl.load_model("any.pt", device=device)
    assert error.value.lines == [f"device: must be 'cpu' or 'cuda' (got {device!r})"]

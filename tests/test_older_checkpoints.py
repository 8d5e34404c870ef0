"""Checkpoints of format 1, whose models flatten feature by feature."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_train import SMALL, TINY_MODEL, rows_of
from tsmtl import load_model, load_transform
from tsmtl.checkpoint.archive import read_archive, write_archive
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last

FEATURES = 8  # of cnn1d with output_channels=4
CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL]


def by_feature(values: Any) -> Any:
    """Give (..., T * F) as (..., F * T)."""
    return values.reshape(len(values), -1, FEATURES).swapaxes(1, 2).reshape(len(values), -1)


@pytest.fixture
def best(trained) -> Path:
    return trained("cnn1d").folder / "best_model.pt"


@pytest.fixture
def older(best, tmp_path) -> Path:
    """The same model as an earlier version would have learnt and written it."""
    content = read_checkpoint(best)
    for name in [name for name in content["state"] if name.startswith("heads.") and name.endswith("weight")]:
        content["state"][name] = by_feature(content["state"][name])
    write_archive(tmp_path / "older.pt", {**content, "format_version": 1})
    return tmp_path / "older.pt"


def test_they_predict_as_ever_and_their_embeddings_stay_in_their_order(trained, best, older):
    x = trained("cnn1d").arrays["X"]
    now, before = load_model(best), load_model(older)
    np.testing.assert_allclose(before.embed(x), by_feature(now.embed(x)), rtol=1e-5, atol=1e-6)
    found, expected = before.predict(x), now.predict(x)
    np.testing.assert_allclose(found["cls"].probabilities, expected["cls"].probabilities, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["reg"].values, expected["reg"].values, rtol=1e-4)


def test_a_transform_that_holds_one_makes_the_vectors_that_it_made(trained, best, older, tsmtl_represent):
    run = trained("cnn1d")
    words = ["data=npz", "data.channels_key=channels", f"data.path={run.data}", "representation=checkpoint"]
    assert tsmtl_represent(*words, f"representation.path={older}", "output=v.npz").code == 0
    found = load_transform("v.transform.pt").transform(run.arrays["X"])
    expected = by_feature(load_model(best).embed(run.arrays["X"]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_fine_tuning_starts_from_one(trained, best, older, tsmtl_train, tmp_path):
    data = [f"data.path={trained('cnn1d').data}", "data.channels_key=channels"]
    tuning = ["stage=finetune", "model=cnn1d", "output_channels=4", "num_epochs=2", "device=cpu"]
    for name, start in (("ours", best), ("theirs", older)):
        answer = tsmtl_train("data=npz", *data, *tuning, f"pretrained_path={start}", f"hydra.run.dir={name}")
        assert answer.code == 0, answer.err
    ours, theirs = (rows_of(tmp_path / name / "metrics.csv") for name in ("ours", "theirs"))
    assert [dict(row, seconds="") for row in ours] == [dict(row, seconds="") for row in theirs]


def test_a_run_that_an_earlier_version_began_is_told_to_end_there_and_a_finished_one_is_let_be(tsmtl_train, tmp_path):
    words = [*CNN, "hydra.run.dir=r", "resume=true"]
    assert tsmtl_train(*words).code == 0
    last = tmp_path / "r" / "last.pt"
    read_last(last)
    write_archive(last, {**read_archive(last), "format_version": 1})
    assert tsmtl_train(*words).code == 0
    (tmp_path / "r" / "summary.json").unlink()
    answer = tsmtl_train(*words)
    assert answer.code == 2
    assert answer.lines == [
        f"tsmtl-train: {last}: an earlier tsmtl began this run, whose heads read readout=flatten in another "
        "order; finish it with that version, or remove it to start the run anew"
    ]

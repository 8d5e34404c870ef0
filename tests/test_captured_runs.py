"""Whole runs whose steps are recorded: on a CPU by a stand-in that does the step again on the recording's buffers."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tsmtl
import tsmtl.training_run
from tests.test_resume import assert_same_run
from tests.test_train import SMALL, TINY_MODEL, rows_of, summary_of
from tests.training.tape import Again
from tsmtl.checkpoint.last import read_last
from tsmtl.config.errors import Interrupted
from tsmtl.training.captured_step import WARM_UP, CapturedSteps
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.loop import train_epoch

SETTINGS = [*SMALL, "batch_size=8", "trainer.schedule=cosine", "trainer.gradient_clip=1.0"]
RUNS = {
    "lstm": ["model=lstm", *TINY_MODEL["lstm"]],
    "gru, averaged": ["model=gru", *TINY_MODEL["gru"], "trainer.weight_average=0.9"],
    "cnn1d, changed inputs": ["model=cnn1d", *TINY_MODEL["cnn1d"], "data.augment=[{jitter:0.1},{mixup:0.2}]"],
    "lstm_fcn, bf16": ["model=lstm_fcn_multi", *TINY_MODEL["lstm_fcn_multi"], "trainer.precision=bf16"],
}


@pytest.fixture
def recorded(monkeypatch):
    """Let runs record their steps; give the recorders that they had."""
    recorders = []

    def make(settings, model, train, sampler, balance, ranks):
        if settings.trainer.cuda_graph == "off":
            return None
        recorders.append(Again())
        return CapturedSteps(recorders[-1], sampler.sizes)

    monkeypatch.setattr(tsmtl.training_run, "make_captured", make)
    return recorders


def cut_after(steps: int) -> Callable[..., Any]:
    """Make an epoch of the loop in which SIGTERM comes during one of the steps of the run."""
    calls = iter(range(1, 10**6))

    def epoch(*given: Any) -> Any:
        after_step = given[5]

        def after() -> None:
            if next(calls) == steps:
                signal.raise_signal(signal.SIGTERM)
            after_step()

        return train_epoch(*given[:5], after, *given[6:])

    return epoch


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_recorded_steps_is_the_run_without_but_for_the_rounding_of_the_rate(tmp_path, recorded, name):
    for graph in ("auto", "off"):
        tsmtl.train([*RUNS[name], *SETTINGS, f"trainer.cuda_graph={graph}", f"hydra.run.dir={tmp_path}/{graph}"])
    assert [recorder.recorded for recorder in recorded] == [1]
    ours, theirs = (rows_of(tmp_path / graph / "metrics.csv") for graph in ("auto", "off"))
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        losses = {key: float(value) for key, value in b.items() if key.endswith("loss") or key == "lr"}
        assert {key: float(a[key]) for key in losses} == pytest.approx(losses, rel=1e-3 if "bf16" in name else 1e-5)
    assert [summary_of(tmp_path / graph)["captured"] for graph in ("auto", "off")] == [True, False]
    groups = [read_last(tmp_path / graph / "last.pt")["optimizer"]["param_groups"] for graph in ("auto", "off")]
    assert groups[0] == groups[1]


def train_cut(words: list[str], steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tsmtl.training.loop.train_epoch", cut_after(steps))
        with pytest.raises(Interrupted):
            tsmtl.train(words)


@pytest.mark.parametrize("steps", [2, 9])
def test_a_recorded_run_that_is_cut_within_an_epoch_goes_on_to_the_same_last_bit(
    tmp_path, recorded, monkeypatch, steps
):
    words = [*RUNS["cnn1d, changed inputs"], *SETTINGS, "dropout=0.3", "num_epochs=4"]
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/whole"])
    train_cut([*words, f"hydra.run.dir={tmp_path}/cut"], steps, monkeypatch)
    assert read_last(tmp_path / "cut/last.pt")["fit"]["losses"] is not None, "in the middle of an epoch"
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/cut", "resume=true"])
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    assert [recorder.recorded for recorder in recorded] == [1, int(steps > WARM_UP), 1]


def test_a_recorded_run_goes_on_where_steps_are_not_recorded_and_the_other_way(tmp_path, recorded, monkeypatch):
    """As from a machine with a GPU to one without: the state says nothing of it, and the setting is no other run."""
    words = [*RUNS["lstm"], *SETTINGS, "num_epochs=4"]
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/whole", "trainer.cuda_graph=off"])
    expected = rows_of(tmp_path / "whole/metrics.csv")
    for first, then in (("auto", "off"), ("off", "auto")):
        folder = f"hydra.run.dir={tmp_path}/{first}"
        train_cut([*words, folder, f"trainer.cuda_graph={first}"], 8, monkeypatch)
        tsmtl.train([*words, folder, f"trainer.cuda_graph={then}", "resume=true"])
        for ours, theirs in zip(rows_of(tmp_path / first / "metrics.csv"), expected, strict=True):
            losses = {key: float(value) for key, value in theirs.items() if key.endswith("loss")}
            assert {key: float(ours[key]) for key in losses} == pytest.approx(losses, rel=1e-4)
    assert [recorder.recorded for recorder in recorded] == [1, 1]


@pytest.mark.parametrize("records", [False, True])
def test_a_run_that_reads_ahead_and_is_cut_within_an_epoch_goes_on_to_the_same_last_bit(
    tmp_path, request, monkeypatch, records
):
    if records:
        request.getfixturevalue("recorded")
    rng = np.random.default_rng(0)
    (tmp_path / "arrays").mkdir()
    x = rng.normal(size=(60, 2, 16)).astype(np.float32)
    for name, array in {"X": x, "y_cls": np.arange(60) % 3, "y_reg": x[:, 0].mean(axis=1)}.items():
        np.save(tmp_path / "arrays" / f"{name}.npy", array)
    words = ["data=npz", f"data.path={tmp_path}/arrays", *RUNS["lstm"], "device=cpu", "num_epochs=3", "batch_size=8"]
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/plain"])
    init = LazySplit.__init__

    def on_a_gpu(self, *given, **named):
        init(self, *given, **named)
        self.reads_ahead = True

    monkeypatch.setattr(LazySplit, "__init__", on_a_gpu)
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/whole"])
    assert_same_run(tmp_path / "whole", tmp_path / "plain")
    before = threading.active_count()
    train_cut([*words, f"hydra.run.dir={tmp_path}/cut"], 7, monkeypatch)
    assert threading.active_count() == before
    tsmtl.train([*words, f"hydra.run.dir={tmp_path}/cut", "resume=true"])
    assert_same_run(tmp_path / "cut", tmp_path / "plain")


def test_on_a_cpu_nothing_is_recorded_and_nothing_is_said(tmp_path, caplog):
    tsmtl.train([*RUNS["lstm"], *SETTINGS, "num_epochs=1", f"hydra.run.dir={tmp_path}/run"])
    assert summary_of(tmp_path / "run")["captured"] is False
    assert not [
        record for record in caplog.records if "graph" in record.getMessage() or "steps:" in record.getMessage()
    ]
